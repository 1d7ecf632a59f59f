"""What a model's replica tells of its calls and batches."""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from serve_apps.observability import lines, metrics, traces
from serve_apps.observability.config import OperationsConfig
from serve_apps.observability.context import Carried, carrying
from serve_apps.observability.traces import Phase

logger = logging.getLogger("ray.serve")
Model = TypeVar("Model")
Item = TypeVar("Item")
Result = TypeVar("Result")
_phases: ContextVar[list[Phase] | None] = ContextVar("showcases_phases", default=None)


@dataclass(frozen=True)
class Queued(Generic[Item]):
    """A request's part of a batch."""

    item: Item
    carried: Carried
    came: float = field(default_factory=time.perf_counter)


def give_way(niceness: int) -> None:
    """Let gateway and proxy of this machine go first: to refuse work for want of cores takes cores too.

    Args:
        niceness: 0 to 19, as for `nice`; each step is some 20 % less of what both want. It is never lowered.
    """
    os.setpriority(os.PRIO_PROCESS, 0, max(niceness, os.getpriority(os.PRIO_PROCESS, 0)))


def install(config: OperationsConfig, deployment: str) -> None:
    """Log and trace as configured; call it when a replica is made."""
    lines.install(config.log_format, deployment)
    traces.install(config, deployment)


@contextlib.contextmanager
def call(name: str, carried: Carried, version: str) -> Iterator[None]:
    """A call inside the block: its records name the request, and one line tells how it went."""
    began, outcome = time.perf_counter(), "cancelled"
    with carrying(carried):
        try:
            yield
            outcome = "ok"
        except Exception as error:
            outcome = type(error).__name__
            raise
        finally:
            took = round(1000 * (time.perf_counter() - began), 2)
            told = {"call": name, "outcome": outcome, "duration_ms": took, "version": version}
            line = partial(logger.info, "%s %s in %.1f ms", name, outcome, took, extra=lines.extra(told))
            lines.after_answer(line)


@contextlib.contextmanager
def phase(name: str) -> Iterator[None]:
    """A part of a batch; without a batch around it, a span of the request whose call it is."""
    steps, began = _phases.get(), time.time_ns()
    own = contextlib.nullcontext() if steps is not None else traces.span(name)
    try:
        with own:
            yield
    finally:
        ended = time.time_ns()
        metrics.PHASE_SECONDS.record(max(0, ended - began) / 1e9, phase=name)
        if steps is not None:
            steps.append(Phase(name, began, ended))


def in_batch(
    name: str, run: Callable[[Model, list[Item]], list[Result]]
) -> Callable[[Model, list[Queued[Item]]], list[Result]]:
    """`run`, told of in the traces of all that are in the batch.

    A batch runs in the context of whichever request came first, so what is carried there is replaced.
    """

    def observed(model: Model, queued: list[Queued[Item]]) -> list[Result]:
        steps: list[Phase] = []
        requests: list[Carried] = [one.carried for one in queued]
        began, started = time.time_ns(), time.perf_counter()
        for one in queued:
            metrics.BATCH_WAIT_SECONDS.record(max(0.0, started - one.came), batch=name)
        _phases.set(steps)
        try:
            with carrying({"request_id": ",".join(one.get("request_id", "-") for one in requests)}):
                return run(model, [one.item for one in queued])
        finally:
            _phases.set(None)
            metrics.BATCHES.record(batch=name)
            metrics.BATCH_SECONDS.record(time.perf_counter() - started, batch=name)
            metrics.BATCHED.record(len(queued), batch=name)
            traces.tell_batch(requests, steps, Phase(f"{name} batch", began, time.time_ns()))

    return observed


def count_tokens(tokenizer: Any, texts: list[str]) -> None:
    """Of texts that were written."""
    if written := sum(len(tokenizer.encode(text)) for text in texts):
        metrics.TOKENS.record(written)
