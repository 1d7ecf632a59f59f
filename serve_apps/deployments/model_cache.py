"""LRU cache of model versions: a new version is loaded while the others keep serving."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from serve_apps.rollout.models import ModelRef

Model = TypeVar("Model")
Item = TypeVar("Item")
Result = TypeVar("Result")
DEFAULT_SIZE = 3  # champion, candidate, and one being loaded or replaced


class ModelCache(Generic[Model]):
    """Versions by name, evicted least recently used first.

    Requests hold a reference to their model, so an evicted one is freed after its last request.

    Args:
        load: blocking; called in a thread.
    """

    def __init__(self, load: Callable[[ModelRef], Model], size: int = DEFAULT_SIZE) -> None:
        self._load, self._size = load, size
        self._models: OrderedDict[ModelRef, Model] = OrderedDict()
        self._loading: dict[ModelRef, asyncio.Task[Model]] = {}

    def put(self, ref: ModelRef, model: Model) -> Model:
        """Add a loaded version."""
        key = ref.by("")
        self._models[key] = model
        self._models.move_to_end(key)
        while len(self._models) > self._size:
            self._models.popitem(last=False)
        return model

    def cached(self, ref: ModelRef) -> Model:
        """A version that is loaded."""
        return self._models[ref.by("")]

    async def get(self, ref: ModelRef) -> Model:
        """The version; concurrent calls share one load, and a failed load is retried by the next call."""
        key = ref.by("")  # same weights under any alias
        if key in self._models:
            return self.put(key, self._models[key])
        if key not in self._loading:
            self._loading[key] = asyncio.create_task(asyncio.to_thread(self._load, ref))
        task = self._loading[key]
        try:
            return self.put(key, await asyncio.shield(task))  # a cancelled request doesn't cancel the load
        finally:
            if task.done() and self._loading.get(key) is task:
                del self._loading[key]


def group_by_model(
    wanted: list[tuple[Model, Item]], run: Callable[[Model, list[Item]], list[Result]]
) -> list[Result | Exception]:
    """Results in order; each model is called once with its items, and its failure affects only those."""
    found: dict[int, Result | Exception] = {}
    for model in {id(model): model for model, _ in wanted}.values():
        rows = [row for row, (own, _) in enumerate(wanted) if own is model]
        try:
            found |= zip(rows, run(model, [wanted[row][1] for row in rows]), strict=True)
        except Exception as error:
            found |= {row: error for row in rows}
    return [found[row] for row in range(len(wanted))]
