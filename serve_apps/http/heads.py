"""Answers HEAD like GET without the body (RFC 9110, section 9.3.2), for monitors and load balancers."""

from serve_apps.http.asgi import App, Message, Receive, Scope, Send


class Head:
    """ASGI. Needed because FastAPI's GET routes don't handle HEAD."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def bodiless(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self.app({**scope, "method": "GET"}, receive, bodiless)
