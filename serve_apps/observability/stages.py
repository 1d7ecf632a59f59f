"""A request's time in a model and its queue, as a metric and as a span."""

import contextlib
import time
from collections.abc import Iterator

from serve_apps.observability import metrics, traces


@contextlib.contextmanager
def stage(name: str) -> Iterator[None]:
    """A model works on a request inside the block; the name is selection or explanation."""
    began = time.perf_counter()
    try:
        with traces.span(name):
            yield
    finally:
        metrics.STAGE_SECONDS.record(time.perf_counter() - began, stage=name)
