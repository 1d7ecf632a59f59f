"""Cost of a stream of work: rows per second, node-seconds by resource, bytes moved, USD per million rows.

Counts all resources of the cluster while the stream runs, used or not, since all are paid for.
"""

from collections.abc import Mapping

import ray

from jobs.runner.cluster import ClusterConfig
from jobs.runner.stream import Tally

MILLION = 1_000_000


def cost_of(tally: Tally, cluster: ClusterConfig, held: Mapping[str, float] | None = None) -> dict[str, float]:
    """Cost figures of a stream, for the manifest and MLflow.

    Args:
        tally: of this run only, without earlier interrupted runs.
        cluster: `price_per_hour` adds `usd` and `usd_per_million` (rows).
        held: nodes, cpus and gpus of the cluster; by default those of the connected one.

    Returns:
        rows, seconds (wall clock), per_second; node_seconds, cpu_seconds and gpu_seconds (resources times wall clock);
        and every amount of the tally, such as bytes_in or decode_cpu_s.
    """
    held = cluster_holds() if held is None else held
    figures = {"rows": float(tally.rows), "seconds": tally.seconds, "per_second": tally.rate}
    figures |= {f"{name}_seconds": held[f"{name}s"] * tally.seconds for name in ("node", "cpu", "gpu")}
    figures |= tally.amounts
    if cluster.price_per_hour is not None:
        figures["usd"] = cluster.price_per_hour * tally.seconds / 3600
        if tally.rows:
            figures["usd_per_million"] = figures["usd"] / tally.rows * MILLION
    return {name: round(value, 6) for name, value in figures.items()}


def cluster_holds() -> dict[str, float]:
    """Nodes, CPU cores and GPUs of the connected cluster."""
    resources = ray.cluster_resources()
    nodes = sum(bool(node["Alive"]) for node in ray.nodes())
    return {"nodes": float(nodes), "cpus": resources.get("CPU", 0.0), "gpus": resources.get("GPU", 0.0)}


def describe_cost(figures: Mapping[str, float], noun: str) -> str:
    """The cost figures as one line."""
    parts = [
        f"{figures['per_second']:,.1f} {noun} a second",
        f"{figures['cpu_seconds']:,.0f} CPU seconds and {figures['gpu_seconds']:,.0f} GPU seconds held",
    ]
    if "usd_per_million" in figures:
        parts.append(f"USD {figures['usd_per_million']:,.2f} a million {noun}")
    return ", ".join(parts)
