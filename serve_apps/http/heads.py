"""HEAD is answered as GET is, without the body (RFC 9110, section 9.3.2): monitors and load balancers ask so."""

from serve_apps.http.asgi import App, Message, Receive, Scope, Send


class Head:
    """ASGI. FastAPI's routes take GET alone."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def bodiless(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self.app({**scope, "method": "GET"}, receive, bodiless)
