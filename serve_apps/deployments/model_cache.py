"""A few versions of a model in memory: the next one is loaded beside those that answer, and takes over when warm."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from serve_apps.rollout.models import ModelRef

Model = TypeVar("Model")
Item = TypeVar("Item")
Result = TypeVar("Result")
KEPT = 3  # champion, candidate, and the one that comes or goes


class Loaded(Generic[Model]):
    """Versions by name, the one that was not asked for longest leaves.

    A request holds on to the model that it was given, so one that leaves ends when its last request is done.

    Args:
        load: blocks until the version answers; called in a thread.
    """

    def __init__(self, load: Callable[[ModelRef], Model], kept: int = KEPT) -> None:
        self._load, self._kept = load, kept
        self._models: OrderedDict[ModelRef, Model] = OrderedDict()
        self._loading: dict[ModelRef, asyncio.Task[Model]] = {}

    def put(self, ref: ModelRef, model: Model) -> Model:
        """Keep a loaded version."""
        key = ref.by("")
        self._models[key] = model
        self._models.move_to_end(key)
        while len(self._models) > self._kept:
            self._models.popitem(last=False)
        return model

    def held(self, ref: ModelRef) -> Model:
        """A version that is loaded."""
        return self._models[ref.by("")]

    async def get(self, ref: ModelRef) -> Model:
        """The version, loaded once however many wait for it; whatever `load` raises, the next call tries again."""
        key = ref.by("")  # the same weights by whatever alias
        if key in self._models:
            return self.put(key, self._models[key])
        if key not in self._loading:
            self._loading[key] = asyncio.create_task(asyncio.to_thread(self._load, ref))
        task = self._loading[key]
        try:
            return self.put(key, await asyncio.shield(task))  # a request that is given up does not stop it
        finally:
            if task.done() and self._loading.get(key) is task:
                del self._loading[key]


def each_by_its_model(
    wanted: list[tuple[Model, Item]], run: Callable[[Model, list[Item]], list[Result]]
) -> list[Result | Exception]:
    """Results in order, every model called once with its items; where a model fails, only its items do."""
    found: dict[int, Result | Exception] = {}
    for model in {id(model): model for model, _ in wanted}.values():
        rows = [row for row, (own, _) in enumerate(wanted) if own is model]
        try:
            found |= zip(rows, run(model, [wanted[row][1] for row in rows]), strict=True)
        except Exception as error:
            found |= {row: error for row in rows}
    return [found[row] for row in range(len(wanted))]
