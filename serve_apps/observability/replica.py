"""Logs, metrics and traces of a model replica's calls and batches."""

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
from serve_apps.observability.context import RequestContext, use_context
from serve_apps.observability.traces import Phase

logger = logging.getLogger("ray.serve")
Model = TypeVar("Model")
Item = TypeVar("Item")
Result = TypeVar("Result")
_phases: ContextVar[list[Phase] | None] = ContextVar("showcases_phases", default=None)


@dataclass(frozen=True)
class Queued(Generic[Item]):
    """A request waiting for its batch."""

    item: Item
    context: RequestContext
    queued_at: float = field(default_factory=time.perf_counter)


def lower_priority(niceness: int) -> None:
    """Lower the CPU priority below gateway and proxy, which need CPU to reject excess load.

    Args:
        niceness: 0 to 19, as for `nice`; each step is about 20 % less CPU under contention. Never decreased.
    """
    os.setpriority(os.PRIO_PROCESS, 0, max(niceness, os.getpriority(os.PRIO_PROCESS, 0)))


def install(config: OperationsConfig, deployment: str) -> None:
    """Configure logging and tracing; call this when a replica starts."""
    lines.install(config.log_format, deployment)
    traces.install(config, deployment)


@contextlib.contextmanager
def call(name: str, context: RequestContext, version: str) -> Iterator[None]:
    """Set the request context for a call, and log its outcome and duration."""
    began, outcome = time.perf_counter(), "cancelled"
    with use_context(context):
        try:
            yield
            outcome = "ok"
        except Exception as error:
            outcome = type(error).__name__
            raise
        finally:
            took = round(1000 * (time.perf_counter() - began), 2)
            fields = {"call": name, "outcome": outcome, "duration_ms": took, "version": version}
            line = partial(logger.info, "%s %s in %.1f ms", name, outcome, took, extra=lines.extra(fields))
            lines.after_answer(line)


@contextlib.contextmanager
def phase(name: str) -> Iterator[None]:
    """Measure a phase of the current batch; outside a batch, a span of the request."""
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
    """`run` with metrics, and spans in the traces of all requests of the batch.

    A batch runs in the context of its first request, so that context is replaced.
    """

    def observed(model: Model, queued: list[Queued[Item]]) -> list[Result]:
        steps: list[Phase] = []
        requests: list[RequestContext] = [one.context for one in queued]
        began, started = time.time_ns(), time.perf_counter()
        for one in queued:
            metrics.BATCH_WAIT_SECONDS.record(max(0.0, started - one.queued_at), batch=name)
        _phases.set(steps)
        try:
            with use_context({"request_id": ",".join(one.get("request_id", "-") for one in requests)}):
                return run(model, [one.item for one in queued])
        finally:
            _phases.set(None)
            metrics.BATCHES.record(batch=name)
            metrics.BATCH_SECONDS.record(time.perf_counter() - started, batch=name)
            metrics.BATCHED.record(len(queued), batch=name)
            traces.record_batch(requests, steps, Phase(f"{name} batch", began, time.time_ns()))

    return observed


def count_tokens(tokenizer: Any, texts: list[str]) -> None:
    """Count the tokens of generated texts."""
    if written := sum(len(tokenizer.encode(text)) for text in texts):
        metrics.TOKENS.record(written)
