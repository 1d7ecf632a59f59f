"""Errors that a server answers by itself, in plain text, as problems like all others."""

from serve_apps.access.asgi import App, Message, Receive, RefusedError, Scope, Send, answer_problem, identify

KEPT = (b"allow", b"retry-after", b"www-authenticate")
SERVERS_OWN = "/-/"  # Ray Serve's paths, which tools of Ray read
PROBLEM = b"application/problem+json"


class PlainErrors:
    """ASGI. Replaces answers of 400 and above that aren't problems; what they say may be a stack trace."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(SERVERS_OWN):
            await self.app(scope, receive, send)
            return
        replaced = False

        async def translating(message: Message) -> None:
            nonlocal replaced
            if message["type"] == "http.response.start" and _is_plain_error(message):
                replaced = True
                await answer_problem(scope, send, _as_problem(scope, message))
            elif not replaced:
                await send(message)

        await self.app(scope, receive, translating)


def _is_plain_error(start: Message) -> bool:
    kinds = [value for name, value in start.get("headers", ()) if name.lower() == b"content-type"]
    return start["status"] >= 400 and not any(kind.startswith(PROBLEM) for kind in kinds)


def _as_problem(scope: Scope, start: Message) -> RefusedError:
    headers = {"x-request-id": identify(scope)}
    headers |= {name.decode(): value.decode("latin-1") for name, value in start["headers"] if name.lower() in KEPT}
    detail = f"the server in front of the application answered {start['status']}"
    return RefusedError(start["status"], detail, headers)
