"""A request's time in front of a model and in it, as metrics and as a span."""

import contextlib
import time
from collections.abc import Iterator

from serve_apps.operations import metrics, traces


@contextlib.contextmanager
def stage(name: str, asked: float) -> Iterator[None]:
    """A model works on a request inside the block.

    Args:
        name: selection or explanation.
        asked: when the request asked for a place, by time.perf_counter.
    """
    began = time.perf_counter()
    metrics.QUEUE_SECONDS.record(began - asked, stage=name)
    try:
        with traces.span(name):
            yield
    finally:
        metrics.STAGE_SECONDS.record(time.perf_counter() - began, stage=name)
