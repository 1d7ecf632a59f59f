"""Deadlines and disconnects reach the handler's awaits; answers do not wait for what can't be interrupted."""

import asyncio
import threading
import time
from typing import Any

import pytest

from serve_apps.access.config import AccessConfig, Limits
from serve_apps.access.deadline import Deadline, cancelling, requested_seconds
from serve_apps.http.asgi import RefusedError
from tests.serve.access.helpers import ask, make_api, request
from tests.waiting import other_tasks_end


def scope(prefer: str = "") -> dict[str, Any]:
    return {"type": "http", "method": "GET", "path": "/", "headers": [(b"prefer", prefer.encode())]}


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [("", 30), ("wait=2", 2), ("respond-async, wait=0.25", 0.25), ("wait=99", 30), ("wait=-1", 30), ("await=1", 30),
     ("Wait = 3; foo", 3), ("wait=soon", 30)],
)  # fmt: skip
def test_what_a_client_may_ask_for(prefer: str, seconds: float) -> None:
    assert requested_seconds(scope(prefer), 30) == seconds


def test_at_the_deadline_the_work_is_cancelled_and_504_answered() -> None:
    api = make_api(AccessConfig())
    [answer] = ask(api, request(None, "GET", "/v1/sleeps", headers={"prefer": "wait=0.05"}))
    assert answer.status_code == 504 and answer.headers["content-type"] == "application/problem+json"
    assert "no response within 0.05 s" in answer.json()["detail"] and api.state.cancelled
    capped = make_api(AccessConfig(limits=Limits(deadline_s=0.05)))
    [answer] = ask(capped, request(None, "GET", "/v1/sleeps", headers={"prefer": "wait=50"}))
    assert answer.status_code == 504 and capped.state.cancelled


def test_the_handler_sees_its_deadline() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["state"]["deadline"] - time.monotonic())

    asyncio.run(Deadline(app, 30)(scope("wait=7"), never, nowhere))
    assert 6 < seen[0] <= 7


def test_a_client_that_has_gone_cancels_the_work() -> None:
    events: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "http.request"
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            events.append("cancelled")
            assert (await receive())["type"] == (await receive())["type"] == "http.disconnect"
            await send({"type": "http.response.start", "status": 200})
            raise

    messages = iter([{"type": "http.request", "body": b""}, {"type": "http.disconnect"}])

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: Any) -> None:
        events.append("sent")

    async def run() -> None:
        await Deadline(app, 30)(scope(), receive, send)
        await other_tasks_end()

    asyncio.run(run())
    assert events == ["cancelled"]


def test_what_runs_after_the_answer_goes_on_when_the_client_has_gone() -> None:
    events: list[str] = []
    answered = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b""})
        await asyncio.sleep(0.05)
        events.append("afterwards")

    async def receive() -> dict[str, Any]:
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            answered.set()

    asyncio.run(Deadline(app, 30)(scope(), receive, send))
    assert events == ["afterwards"]


def test_a_thread_that_can_not_be_interrupted_holds_up_no_answer() -> None:
    release = threading.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        work = asyncio.ensure_future(asyncio.to_thread(release.wait, 60))
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await work
            await send({"type": "http.response.start", "status": 200})

    async def run() -> None:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        with pytest.raises(RefusedError) as refused:
            await Deadline(app, 0.05)(scope(), never, send)
        assert refused.value.status == 504 and not release.is_set()
        release.set()
        await other_tasks_end()
        assert sent == []  # what comes too late is not mixed into the next answer

    asyncio.run(run())


def test_a_server_that_cancels_the_request_cancels_the_work_first() -> None:
    events: list[str] = []
    begun = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            events.append("ended")

    async def run() -> None:
        call = asyncio.create_task(Deadline(app, 30)(scope(), never, nowhere))
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert events == ["ended"]

    asyncio.run(run())


def test_work_elsewhere_is_called_off() -> None:
    class Elsewhere:
        """As Ray's DeploymentResponse: to cancel the waiting is not to cancel the work."""

        called_off = False

        def __await__(self):
            return asyncio.sleep(60).__await__()

        def cancel(self) -> None:
            self.called_off = True

    async def run() -> bool:
        work = Elsewhere()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await cancelling(work)
        return work.called_off

    assert asyncio.run(run())


async def never() -> dict[str, Any]:
    await asyncio.Event().wait()
    return {}


async def nowhere(message: Any) -> None:
    pass
