"""What meets in a replica: batches of what came meanwhile, results to whom they belong, errors to whom they belong."""

import asyncio
import threading

import pytest

from serve_apps.deployments.batching import Batches


class Model:
    """Squares numbers, not before it may; negative ones fail, and 99 breaks the whole batch."""

    def __init__(self) -> None:
        self.may, self.seen = threading.Semaphore(0), list[list[int]]()

    def __call__(self, numbers: list[int]) -> list[int | Exception]:
        self.seen.append(numbers)
        assert self.may.acquire(timeout=10)
        if 99 in numbers:
            raise RuntimeError("the model broke")
        return [ValueError(f"{number} is negative") if number < 0 else number**2 for number in numbers]


async def settle(model: Model, batches: int) -> None:
    while len(model.seen) < batches:
        await asyncio.sleep(0.001)


def test_the_first_goes_at_once_and_who_comes_meanwhile_goes_together() -> None:
    async def scene() -> None:
        model = Model()
        batches: Batches[int, int] = Batches(model, max_size=3)
        asked = [asyncio.create_task(batches(number)) for number in range(5)]
        await settle(model, 1)
        model.may.release(10)
        assert await asyncio.gather(*asked) == [0, 1, 4, 9, 16]
        assert model.seen == [[0, 1, 2], [3, 4]]  # all five had come before the first batch was taken
        first = asyncio.create_task(batches(5))
        await settle(model, 3)
        model.may = threading.Semaphore(0)
        assert await first == 25 and model.seen[2] == [5]  # alone, without a wait
        blocked = asyncio.create_task(batches(6))
        await settle(model, 4)
        later = [asyncio.create_task(batches(number)) for number in (7, 8)]
        await asyncio.sleep(0)
        model.may.release(2)
        assert await asyncio.gather(blocked, *later) == [36, 49, 64] and model.seen[3:] == [[6], [7, 8]]

    asyncio.run(scene())


def test_an_error_is_of_its_own_item_or_of_its_whole_batch_and_the_next_batch_runs() -> None:
    async def scene() -> None:
        model = Model()
        model.may.release(10)
        batches: Batches[int, int] = Batches(model, max_size=2)
        found = await asyncio.gather(*(batches(number) for number in (1, -2, 99, 3, 4)), return_exceptions=True)
        assert [type(one) for one in found] == [int, ValueError, RuntimeError, RuntimeError, int] and found[4] == 16

    asyncio.run(scene())


def test_who_is_given_up_while_waiting_is_not_worked_for() -> None:
    async def scene() -> None:
        model = Model()
        batches: Batches[int, int] = Batches(model, max_size=8)
        first = asyncio.create_task(batches(1))
        await settle(model, 1)
        waiting = [asyncio.create_task(batches(number)) for number in (2, 3, 4)]
        await asyncio.sleep(0)
        waiting[1].cancel()
        first.cancel()  # its batch runs already: it ends unheard
        model.may.release(10)
        assert await waiting[0] == 4 and await waiting[2] == 16
        assert model.seen == [[1], [2, 4]]
        with pytest.raises(asyncio.CancelledError):
            await first

    asyncio.run(scene())
