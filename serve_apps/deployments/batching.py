"""Dynamic batching: requests that arrive while a batch is computed form the next one; no request waits for others.

`ray.serve.batch` assembles a batch before the model is free, so it either delays every request or makes batches of
one.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batches(Generic[Item, Result]):
    """Runs one batch at a time in its own thread. Requests cancelled while queued are dropped.

    Args:
        run: blocking; returns one result per item, in order, or an exception for a failed item.

    Attributes:
        max_size: maximum items per batch, at least 1.
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
            Exception: the item or its batch failed.
        """
        loop = asyncio.get_running_loop()
        result: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, result))
        if self._work is None:
            self._work = loop.create_task(self._run_queue())
        return await result

    async def _run_queue(self) -> None:
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
    if result.done():  # cancelled meanwhile
        return
    if isinstance(value, Exception):
        result.set_exception(value)
    else:
        result.set_result(value)
