"""The service's own metrics, by Ray's: every node of a cluster exports what its processes record, at one port.

Not prometheus_client, which would want a port for every replica: a replica's place and number change, a node's port
stays, and Serve's metrics (batches, routers, replicas) come along at the same place. Ray puts `ray_` before each name
and adds `deployment`, `replica` and `application`. It works without a dashboard; without Ray it records nothing.

Ray rounds: a histogram's `_sum` is made of the middles of its buckets. Where a mean matters there is a counter of the
values besides.
"""

import functools
from dataclasses import dataclass
from typing import Any, Literal

from serve_apps.compat import export_zero

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SHARES = tuple(number / 20 for number in range(1, 21))


@dataclass(frozen=True)
class Metric:
    """
    Attributes:
        boundaries: upper ends of a histogram's buckets.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    told: str
    labels: tuple[str, ...] = ()
    boundaries: tuple[float, ...] = ()

    @property
    def exported(self) -> str:
        """Its name as scraped; a histogram's has _bucket, _sum or _count behind it."""
        return f"ray_{self.name}_total" if self.kind == "counter" else f"ray_{self.name}"

    def record(self, value: float = 1.0, /, **labels: str) -> None:
        """Add to a counter, set a gauge, or observe one value of a histogram; every label has to be given."""
        instrument = _instrument(self)
        if self.kind == "histogram":
            instrument.observe(value, labels)
        elif self.kind == "gauge":
            instrument.set(value, labels)
        else:
            instrument.inc(value, labels)

    def start(self, **labels: str) -> None:
        """Export a counter as 0: what a series is born with is no increase to `rate`, the first event would be lost."""
        export_zero(_instrument(self), labels)


@functools.cache
def _instrument(metric: Metric) -> Any:
    """Made at first use: only inside a replica does Serve know what to label it with."""
    from ray.serve import metrics

    if metric.kind == "histogram":
        histogram: Any = metrics.Histogram
        return histogram(metric.name, metric.told, list(metric.boundaries), metric.labels)
    kind: Any = metrics.Gauge if metric.kind == "gauge" else metrics.Counter
    return kind(metric.name, metric.told, metric.labels)


REQUESTS = Metric("showcases_requests", "counter", "Requests answered", ("method", "route", "status"))
REQUEST_SECONDS = Metric(
    "showcases_request_seconds", "histogram", "From a request's head to the end of its answer", ("route",), SECONDS
)
STAGE_SECONDS = Metric(
    "showcases_stage_seconds",
    "histogram",
    "A model's part, with queue and hops",
    ("stage",),
    SECONDS,
)
PHASE_SECONDS = Metric(
    "showcases_phase_seconds", "histogram", "Inside a model's replica, of a batch", ("phase",), SECONDS
)
REFUSALS = Metric("showcases_refusals", "counter", "Requests, or parts of them, refused", ("stage", "reason"))
DEGRADED = Metric("showcases_degraded", "counter", "Showcases answered without text")
BATCHES = Metric("showcases_batches", "counter", "Batches computed", ("batch",))
BATCHED = Metric("showcases_batched", "counter", "Requests in those batches", ("batch",))
BATCH_WAIT_SECONDS = Metric(
    "showcases_batch_wait_seconds", "histogram", "In a replica, until its batch begins", ("batch",), SECONDS
)
BATCH_SECONDS = Metric("showcases_batch_seconds", "histogram", "Computing a batch", ("batch",), SECONDS)
TOKENS = Metric("showcases_tokens", "counter", "Tokens of the texts written")
ALIGN = Metric("showcases_align", "histogram", "CLIP-Align of a text, 0 to 1", ("model", "version", "alias"), SHARES)
ALIGN_SUM = Metric("showcases_align_values", "counter", "Sum of the texts' CLIP-Align", ("model", "version", "alias"))
CALLS = Metric("showcases_model_calls", "counter", "Calls of a pair's models", ("model", "version", "alias", "outcome"))
MODEL = Metric("showcases_model_info", "gauge", "1 for each model that answers", ("role", "model", "version", "alias"))
SWITCHES = Metric("showcases_switches", "counter", "Times that another version took a role", ("role",))
ROLLBACKS = Metric("showcases_rollbacks", "counter", "Candidates taken back")
CATALOG = Metric("showcases_catalog_info", "gauge", "1 for the version that is read", ("version",))

ALL = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
