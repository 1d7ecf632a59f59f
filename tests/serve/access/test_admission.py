"""Bounded, fair, quick to refuse: admission on a simulated clock."""

import asyncio
import random
from collections import Counter

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

    def begin(self, name: str, key: str | None = None, deadline: float | None = None) -> asyncio.Task:
        self._ends[name] = asyncio.Event()

        async def run() -> None:
            async with self.admission.slot(key, deadline):
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
        assert not admission._held

    asyncio.run(run())


@pytest.mark.parametrize(("mean", "seconds"), [(0.001, 1), (10_000, 60)])
def test_retry_after_stays_within_a_minute(mean: float, seconds: int) -> None:
    assert stage(1, 1, expected_s=mean).retry_after == seconds


def test_a_key_has_its_share_and_the_rest_is_for_others() -> None:
    async def run() -> None:
        admission = stage(2, 6)
        work = Work(admission)
        tasks = [work.begin(f"a{number}", "a") for number in range(4)]
        await settle()
        with pytest.raises(SaturatedError) as refused:
            await work.begin("a4", "a")
        assert (refused.value.status, refused.value.reason) == (429, "share")
        assert refused.value.headers["retry-after"] == "2"  # (2 waiting + 1) / 2, rounded up
        tasks += [work.begin(f"b{number}", "b") for number in range(2)]
        await settle()
        for number in (0, 1, 2):  # "b" came last and is served in turn
            await work.end(f"a{number}")
        assert work.started[:5] == ["a0", "a1", "a2", "b0", "a3"]
        for name in ("b0", "a3", "b1"):
            await work.end(name)
        await asyncio.gather(*tasks)

    asyncio.run(run())


@pytest.mark.parametrize("seed", range(6))
def test_a_flood_by_one_key_leaves_another_its_half(seed: int) -> None:
    """Served while both want more than they get: as many of each, but for what runs when the other comes."""

    async def run() -> Counter:
        rng, served, admission = random.Random(seed), Counter(), stage(2, 10)
        work, tasks, running = Work(admission), [], []
        for step in range(300):
            for key, tries in (("flood", 10), ("light", 2)):
                for number in range(tries):
                    if admission.saturated(key) is None:
                        tasks.append(work.begin(f"{key}-{step}-{number}", key))
                        await settle()
            running = [name for name in work.started if not work._ends[name].is_set()]
            assert len(running) <= 2 and admission.running + admission.waiting <= 12
            done = rng.choice(running)
            served[done.split("-")[0]] += 1
            await work.end(done)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert admission.running == admission.waiting == 0
        return served

    served = asyncio.run(run())
    assert abs(served["flood"] - served["light"]) <= 30


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
        tasks = [work.begin(str(number), "a" if number % 2 else "b") for number in range(4)]
        await settle()
        tasks[1].cancel()
        await settle()
        assert admission.waiting == 2
        work._ends["0"].set()
        await tasks[0]  # its place is just given to 2, which has not run yet
        tasks[2].cancel()
        await settle()
        assert work.started == ["0", "3"]
        await work.end("3")
        assert admission.running == admission.waiting == 0 and not admission._held

    asyncio.run(run())
