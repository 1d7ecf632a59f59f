"""The service's metrics, exported by Ray: one port per node for all its processes.

prometheus_client would need a port per replica, and replicas move; a node's port is fixed and also serves Serve's own
metrics. Ray prefixes names with `ray_` and adds the labels `deployment`, `replica` and `application`. Works without a
dashboard; without Ray nothing is recorded.

Ray computes a histogram's `_sum` from bucket midpoints. Where an exact mean matters, there is also a counter.
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
        boundaries: upper bounds of a histogram's buckets.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    description: str
    labels: tuple[str, ...] = ()
    boundaries: tuple[float, ...] = ()

    @property
    def exported(self) -> str:
        """Name as scraped; histograms add _bucket, _sum and _count."""
        return f"ray_{self.name}_total" if self.kind == "counter" else f"ray_{self.name}"

    def record(self, value: float = 1.0, /, **labels: str) -> None:
        """Increment a counter, set a gauge, or observe a histogram value; all labels are required."""
        instrument = _instrument(self)
        if self.kind == "histogram":
            instrument.observe(value, labels)
        elif self.kind == "gauge":
            instrument.set(value, labels)
        else:
            instrument.inc(value, labels)

    def start(self, **labels: str) -> None:
        """Export a counter as 0; else `rate` would miss the first event of a new series."""
        export_zero(_instrument(self), labels)


@functools.cache
def _instrument(metric: Metric) -> Any:
    """Created on first use, since Serve's labels are only known inside a replica."""
    from ray.serve import metrics

    if metric.kind == "histogram":
        histogram: Any = metrics.Histogram
        return histogram(metric.name, metric.description, list(metric.boundaries), metric.labels)
    kind: Any = metrics.Gauge if metric.kind == "gauge" else metrics.Counter
    return kind(metric.name, metric.description, metric.labels)


REQUESTS = Metric("showcases_requests", "counter", "Requests answered", ("method", "route", "status"))
REQUEST_SECONDS = Metric(
    "showcases_request_seconds", "histogram", "From a request's headers to the end of its response", ("route",), SECONDS
)
STAGE_SECONDS = Metric(
    "showcases_stage_seconds",
    "histogram",
    "Duration of a model call, including queueing",
    ("stage",),
    SECONDS,
)
PHASE_SECONDS = Metric("showcases_phase_seconds", "histogram", "Phase of a batch inside a replica", ("phase",), SECONDS)
REFUSALS = Metric("showcases_refusals", "counter", "Refused requests, by stage", ("stage", "reason"))
DEGRADED = Metric("showcases_degraded", "counter", "Showcases answered without text")
BATCHES = Metric("showcases_batches", "counter", "Batches computed", ("batch",))
BATCHED = Metric("showcases_batched", "counter", "Requests in those batches", ("batch",))
BATCH_WAIT_SECONDS = Metric(
    "showcases_batch_wait_seconds", "histogram", "Wait in a replica until the batch starts", ("batch",), SECONDS
)
BATCH_SECONDS = Metric("showcases_batch_seconds", "histogram", "Computing a batch", ("batch",), SECONDS)
TOKENS = Metric("showcases_tokens", "counter", "Generated tokens")
ALIGN = Metric("showcases_align", "histogram", "CLIP-Align of a text, 0 to 1", ("model", "version", "alias"), SHARES)
ALIGN_SUM = Metric("showcases_align_values", "counter", "Sum of the texts' CLIP-Align", ("model", "version", "alias"))
CALLS = Metric("showcases_model_calls", "counter", "Model calls", ("model", "version", "alias", "outcome"))
MODEL = Metric("showcases_model_info", "gauge", "1 for each serving model", ("role", "model", "version", "alias"))
SWITCHES = Metric("showcases_switches", "counter", "Switches of champion or candidate", ("role",))
ROLLBACKS = Metric("showcases_rollbacks", "counter", "Rolled back candidates")
CATALOG = Metric("showcases_catalog_info", "gauge", "1 for the version in use", ("version",))

ALL = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
