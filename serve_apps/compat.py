"""Private Ray APIs without a public counterpart in 2.60, each with a test in tests/serve."""

from typing import Any


def export_zero(counter: Any, labels: dict[str, str]) -> None:
    """Export a counter (`ray.serve.metrics.Counter`) as 0; its public `inc` refuses that."""
    counter._record(0.0, labels)


def export_port(port: int) -> dict[str, Any]:
    """`ray.init` option for the metrics port, which is public only in `ray start`; 0 takes a free port."""
    return {"_metrics_export_port": port} if port else {}
