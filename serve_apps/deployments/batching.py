"""Requests that meet in a replica make a batch: what came while the last one was worked on; nobody waits.

Not `ray.serve.batch`: it puts a batch together before the model is free to take it, and so either lets every request
wait for company or makes batches of one.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batches(Generic[Item, Result]):
    """Runs one batch at a time, in a thread of its own. Requests that were given up while they waited are left out.

    Args:
        run: blocks; as many results as items, in order, an exception for an item that failed.

    Attributes:
        max_size: items of a batch, at least 1.
    """

    def __init__(self, run: Callable[[list[Item]], list[Result | Exception]], max_size: int = 8) -> None:
        self.max_size = max_size
        self._run = run
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._thread = ThreadPoolExecutor(1, "batch")
        self._work: asyncio.Task[None] | None = None

    async def __call__(self, item: Item) -> Result:
        """The result of one item.

        Raises:
            Exception: it failed, or the whole batch did.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, result))
        if self._work is None:
            self._work = loop.create_task(self._work_off())
        return await result

    async def _work_off(self) -> None:
        try:
            while batch := self._next():
                found = await self._results([item for item, _ in batch])
                for (_, result), value in zip(batch, found, strict=True):
                    _settle(result, value)
        finally:
            self._work = None

    def _next(self) -> list[tuple[Item, "asyncio.Future[Result]"]]:
        batch: list[tuple[Item, asyncio.Future[Result]]] = []
        while self._waiting and len(batch) < self.max_size:
            item, result = self._waiting.popleft()
            if not result.cancelled():
                batch.append((item, result))
        return batch

    async def _results(self, items: list[Item]) -> list[Result | Exception]:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, items)
        except Exception as error:
            return [error] * len(items)


def _settle(result: "asyncio.Future[Result]", value: Result | Exception) -> None:
    if result.done():  # given up in the meantime
        return
    if isinstance(value, Exception):
        result.set_exception(value)
    else:
        result.set_result(value)
