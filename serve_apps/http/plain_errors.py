"""Turns error responses of Serve's HTTP proxy into problem responses.

Serve imports `proxy_layers` through RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH (`serve_apps.args.SERVE_ENV`) when a
proxy starts. There is no other hook into the proxy: HTTPOptions no longer supports middlewares.
"""

from starlette.middleware import Middleware

from serve_apps.http.asgi import (
    CLOSE,
    App,
    Message,
    Receive,
    RefusedError,
    Scope,
    Send,
    answer_problem,
    head_bytes,
    identify,
)

FORWARDED_HEADERS = (b"allow", b"retry-after", b"www-authenticate")
SERVERS_OWN = "/-/"  # Ray Serve's own paths, used by Ray's tools
PROBLEM = b"application/problem+json"
RETRY_AFTER_S = 5
HEAD_BYTES = 1024 * 1024  # Serve forwards at most 4 MiB; the gateway's own limit is lower


def proxy_layers() -> list[Middleware]:
    """Middleware for Serve's proxies."""
    return [Middleware(PlainErrors)]


class PlainErrors:
    """ASGI. Replaces error responses that aren't problems; their text may be a stack trace.

    If the gateway's replica is killed before its response starts, Ray 2.60 sends nothing and its server returns a
    plain 500. This returns 503 with Retry-After instead and leaves the retry to the client.
    """

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(SERVERS_OWN):
            await self.app(scope, receive, send)
            return
        if head_bytes(scope) > HEAD_BYTES:
            await answer_problem(scope, send, _too_large(scope))
            return
        started = replaced = False

        async def translating(message: Message) -> None:
            nonlocal started, replaced
            started = True
            if message["type"] == "http.response.start" and _is_plain_error(message):
                replaced = True
                await answer_problem(scope, send, _as_problem(scope, message))
            elif not replaced:
                await send(message)

        await self.app(scope, receive, translating)
        if not started:
            await answer_problem(scope, send, _lost(scope))


def _is_plain_error(start: Message) -> bool:
    kinds = [value for name, value in start.get("headers", ()) if name.lower() == b"content-type"]
    return start["status"] >= 400 and not any(kind.startswith(PROBLEM) for kind in kinds)


def _as_problem(scope: Scope, start: Message) -> RefusedError:
    headers = {"x-request-id": identify(scope)}
    headers |= {
        name.decode(): value.decode("latin-1") for name, value in start["headers"] if name.lower() in FORWARDED_HEADERS
    }
    detail = f"the proxy returned {start['status']}"
    return RefusedError(start["status"], detail, headers)


def _too_large(scope: Scope) -> RefusedError:
    headers = {"x-request-id": identify(scope), **CLOSE}
    return RefusedError(431, f"the headers have more than {HEAD_BYTES} bytes", headers)


def _lost(scope: Scope) -> RefusedError:
    headers = {"retry-after": str(RETRY_AFTER_S), "x-request-id": identify(scope)}
    detail = f"the gateway was lost before it responded; try again in {RETRY_AFTER_S} s"
    return RefusedError(503, detail, headers, code="replica_lost")
