"""What Serve's HTTP proxy does besides passing requests on: short bodies go along with their heads, what is too much
is refused at once, and what a lost gateway has not answered is asked again.

The proxy of Ray 2.60 answers 500 when the replica that it gave a request to is killed. Serve reads `middlewares` from
RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH when a proxy starts; see `serve_apps.args.SERVE_ENV`.
"""

import asyncio
import logging
import os

from starlette.middleware import Middleware

from serve_apps.access.asgi import App, Message, Receive, RefusedError, Scope, Send, answer_problem, identify
from serve_apps.access.routes import changes_nothing
from serve_apps.along import BodyAlong
from serve_apps.crowd import Crowd
from serve_apps.http.plain_errors import PlainErrors

logger = logging.getLogger("ray.serve")
KEPT_BYTES = 1024 * 1024  # of a body, to send it once more; a longer one is not asked again
WAITS_S = (0.0, 0.2, 1.0)  # before another try; within a try Serve waits for a gateway
AT_MOST = "SHOWCASES_PROXY_REQUESTS"  # environment variable: requests under way in a proxy
PLACES = "256"  # by default: more than a gateway takes in, so that a lost one's are waited for


def middlewares() -> list[Middleware]:
    """For Serve's proxies."""
    places = int(os.environ.get(AT_MOST, PLACES))
    return [
        Middleware(PlainErrors),
        Middleware(BodyAlong),
        Middleware(Crowd, at_most=places),
        Middleware(AskAgain),
    ]


class AskAgain:
    """ASGI. A request that changes nothing and got no word of an answer is asked again; else there is a 503."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope = dict(scope)
        request_id = identify(scope)  # the same one for every try
        heard, answered = _Heard(receive), False

        async def noticing(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        for wait in WAITS_S:
            await asyncio.sleep(wait)
            await self.app(dict(scope), heard.again(), noticing)
            if answered or heard.gone:
                return
            if not (changes_nothing(scope) and heard.whole):
                break
            logger.warning("a gateway was lost before it answered, asking again")
        detail = "the gateway was lost before it answered; try again in 5 s"
        headers = {"retry-after": "5", "x-request-id": request_id}
        await answer_problem(scope, send, RefusedError(503, detail, headers, code="replica_lost"))


class _Heard:
    """What the client sent, kept to be read once more."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive
        self.kept: list[Message] = []
        self.size = 0
        self.gone = False  # the client

    @property
    def whole(self) -> bool:
        """Whether everything that was read is kept."""
        return self.size <= KEPT_BYTES

    def again(self) -> Receive:
        """A `receive` that begins at the beginning."""
        place = 0

        async def heard() -> Message:
            nonlocal place
            if place < len(self.kept):
                place += 1
                return self.kept[place - 1]
            message = await self.receive()
            self.gone = self.gone or message["type"] == "http.disconnect"
            self.size += len(message.get("body", b""))
            if self.whole:
                self.kept.append(message)
                place += 1
            return message

        return heard
