"""Bounded, in turn, quick to refuse: admission on a simulated clock."""

import asyncio

import pytest

from serve_apps.access.admission import Admission, SaturatedError
from serve_apps.access.config import StageLimits


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def stage(running: int, waiting: int, clock: Clock | None = None, expected_s: float = 1.0) -> Admission:
    limits = StageLimits(running=running, waiting=waiting, expected_s=expected_s)
    return Admission("generator", limits, clock or Clock())


class Work:
    """Requests that run until they are told to end."""

    def __init__(self, admission: Admission) -> None:
        self.admission, self.started = admission, []
        self._ends: dict[str, asyncio.Event] = {}

    def begin(self, name: str, deadline: float | None = None) -> asyncio.Task:
        self._ends[name] = asyncio.Event()

        async def run() -> None:
            async with self.admission.slot(deadline):
                self.started.append(name)
                await self._ends[name].wait()

        return asyncio.create_task(run())

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await settle()


def test_full_is_full_and_says_when_to_come_back() -> None:
    async def run() -> None:
        admission = stage(2, 3, expected_s=8)
        work = Work(admission)
        tasks = [work.begin(str(number)) for number in range(5)]
        await settle()
        assert work.started == ["0", "1"] and admission.waiting == 3
        with pytest.raises(SaturatedError) as refused:
            await work.begin("sixth")
        assert (refused.value.status, refused.value.reason) == (503, "full")
        assert refused.value.retry_after == 16  # (3 + 1) / (2 / 8)
        for number in range(5):
            await work.end(str(number))
        await asyncio.gather(*tasks)
        assert work.started == ["0", "1", "2", "3", "4"] and admission.running == admission.waiting == 0

    asyncio.run(run())


@pytest.mark.parametrize(("mean", "seconds"), [(0.001, 1), (10_000, 60)])
def test_retry_after_stays_within_a_minute(mean: float, seconds: int) -> None:
    assert stage(1, 1, expected_s=mean).retry_after == seconds


def test_who_would_wait_beyond_the_deadline_is_refused_at_once() -> None:
    async def run() -> None:
        clock = Clock()
        admission = stage(1, 5, clock, expected_s=4)
        work = Work(admission)
        first = work.begin("1", deadline=0.1)  # a free place is given, whatever the mean says
        second = work.begin("2")
        await settle()
        assert admission.saturated(deadline=clock() + 7.9).reason == "deadline"  # type: ignore[union-attr]
        assert admission.saturated(deadline=clock() + 8) is None
        with pytest.raises(SaturatedError) as refused:
            await work.begin("3", deadline=clock() + 2)
        assert refused.value.status == 503 and admission.waiting == 1
        for name in ("1", "2"):
            await work.end(name)
        await asyncio.gather(first, second)

    asyncio.run(run())


def test_the_rate_follows_what_requests_take() -> None:
    async def run() -> None:
        clock = Clock()
        admission = stage(4, 4, clock)
        for _ in range(60):
            async with admission.slot():
                clock.now += 0.5
        assert admission.rate == pytest.approx(8, rel=1e-3)
        for _ in range(60):
            with pytest.raises(ValueError, match="failed"):
                async with admission.slot():
                    raise ValueError("failed")  # what fails at once says nothing of how long work takes
        assert admission.rate == pytest.approx(8, rel=1e-3) and admission.running == 0

    asyncio.run(run())


def test_cancelled_waiters_give_their_place_up() -> None:
    async def run() -> None:
        admission = stage(1, 3)
        work = Work(admission)
        tasks = [work.begin(str(number)) for number in range(4)]
        await settle()
        tasks[1].cancel()
        await settle()
        assert admission.waiting == 2
        await work.end("0")
        tasks[2].cancel()  # it runs
        await settle()
        assert work.started == ["0", "2", "3"]
        await work.end("3")
        assert admission.running == admission.waiting == 0

    asyncio.run(run())
