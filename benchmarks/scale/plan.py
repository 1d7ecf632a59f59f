"""What 4.4 million photos take on the cluster of cluster.yaml: hours, node-hours, money, by simulation.

    python -m benchmarks.scale.plan [docs/scale.json] [--set "steps.embed photos.encode.rows_per_s=48" ...] [--seeds 5]

Rates, losses and prices come from the JSON file, and from --set; one that is null has not been measured, and nothing is
printed for it but how to measure it (docs/scale.md). Those that the file lists under `assumed` nobody measured either:
they are printed below the plan. Node types, their cores and GPUs come from cluster.yaml.
"""

import argparse
import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.scale.simulation import Nodes, Outcome, Stage, Step, Store

ROOT = Path(__file__).resolve().parents[2]
HOUR = 3600.0
MAY_BE_NULL = ("limit_rows_per_s", "requests_per_s")  # null: no limit


class InputError(Exception):
    """The inputs can't be simulated."""


@dataclass(frozen=True)
class StepPlan:
    """One step: how many rows, through which stages."""

    name: str
    rows: int
    unit: int  # rows
    stages: tuple[Stage, ...]


@dataclass(frozen=True)
class Plan:
    """Everything that is simulated. Prices in USD an hour by node type, the head's among them."""

    photos: int
    nodes: Mapping[str, Nodes]
    prices: Mapping[str, float]
    store: Store
    steps: tuple[StepPlan, ...]
    idle_s: float = 0.0
    assumed: Mapping[str, Any] = field(default_factory=dict)  # figure by path


def read_plan(inputs: Mapping[str, Any], cluster: Mapping[str, Any]) -> Plan:
    """Put the measured inputs and cluster.yaml together.

    Raises:
        InputError: a figure is missing, or a node type that cluster.yaml has not, or more nodes than it allows.
    """
    missing = sorted(_nulls(inputs))
    if missing:
        raise InputError("not measured yet: " + ", ".join(missing) + "; docs/scale.md says by which command")
    types = cluster["available_node_types"]
    for name, node in inputs["nodes"].items():
        most = types.get(name, {}).get("max_workers", 0)
        if not 0 < node["count"] <= most:
            raise InputError(f"nodes.{name}: {node['count']} of them; cluster.yaml allows 1 to {most}")
    return Plan(
        photos=inputs["photos"],
        nodes={n: Nodes(v["count"], v["lost_per_hour"], v["boot_s"]) for n, v in inputs["nodes"].items()},
        prices={"head": inputs["head_usd_per_hour"]} | {n: v["usd_per_hour"] for n, v in inputs["nodes"].items()},
        store=Store(**inputs["store"]),
        steps=tuple(_step(step, inputs["photos"], types) for step in inputs["steps"]),
        idle_s=60.0 * cluster.get("idle_timeout_minutes", 0),
        assumed={path: _get(inputs, path) for path in inputs.get("assumed", ())},
    )


def _step(step: Mapping[str, Any], photos: int, types: Mapping[str, Any]) -> StepPlan:
    stages = tuple(
        Stage(
            stage["name"],
            {kind: int(types[kind]["resources"][stage["resource"]]) for kind in stage["on"]},
            stage["rows_per_s"],
            stage.get("requests", 0),
            stage.get("limit_rows_per_s"),
        )
        for stage in step["stages"]
    )
    return StepPlan(step["name"], round(photos * step["rows_per_photo"]), step["unit"], stages)


def _nulls(value: Any, path: str = "") -> list[str]:
    """Paths of the figures that are null and must not be."""
    if isinstance(value, Mapping):
        return [p for key, part in value.items() if key not in MAY_BE_NULL for p in _nulls(part, f"{path}.{key}")]
    if isinstance(value, list):
        return [p for part in value if isinstance(part, dict) for p in _nulls(part, f"{path}.{part['name']}")]
    return [path.removeprefix(".")] if value is None else []


def no_fault_seconds(plan: Plan, step: StepPlan) -> float:
    """The arithmetic: the slowest stage's rows over its rate, all slots busy, and the time that nodes take to boot."""
    rates = []
    for stage in step.stages:
        slots = sum(count * plan.nodes[kind].count for kind, count in stage.slots.items())
        rates.append(min(slots * stage.rows_per_s, stage.limit_rows_per_s or float("inf")))
        if plan.store.requests_per_s and stage.requests:
            rates.append(plan.store.requests_per_s * step.unit / stage.requests)
    boots = [plan.nodes[kind].boot_s for stage in step.stages for kind in stage.slots]
    return step.rows / min(rates) + max(boots)


def simulate(plan: Plan, step: StepPlan, seed: int) -> Outcome:
    """One run of one step, with the node types that it uses."""
    used = {kind for stage in step.stages for kind in stage.slots}
    nodes = {kind: plan.nodes[kind] for kind in sorted(used)}
    return Step(step.rows, step.unit, step.stages, nodes, plan.store, seed).run()


def node_hours(plan: Plan, step: StepPlan, seconds: float) -> dict[str, float]:
    """Node-hours paid by type: held for the whole step and until they are found idle; the head node runs as long."""
    used = {kind for stage in step.stages for kind in stage.slots}
    held = (seconds + plan.idle_s) / HOUR
    return {"head": seconds / HOUR} | {kind: plan.nodes[kind].count * held for kind in sorted(used)}


def report(plan: Plan, seeds: int) -> dict[str, float]:
    """Print a line a step (means over the seeds) and the sum; return the sum."""
    print(f"{'step':18}{'hours':>8}{'no fault':>10}{'node-hours':>12}{'lost':>6}{'redone':>8}{'USD':>9}")
    total = {"hours": 0.0, "node_hours": 0.0, "usd": 0.0}
    for step in plan.steps:
        runs = [simulate(plan, step, seed) for seed in range(seeds)]
        seconds = statistics.mean(run.seconds for run in runs)
        hours = node_hours(plan, step, seconds)
        usd = sum(hours[kind] * plan.prices[kind] for kind in hours)
        lost, redone = (statistics.mean(x) for x in zip(*((r.lost.total(), r.redone) for r in runs), strict=True))
        print(
            f"{step.name:18}{seconds / HOUR:>8.2f}{no_fault_seconds(plan, step) / HOUR:>10.2f}"
            f"{sum(hours.values()):>12.1f}{lost:>6.1f}{redone:>8.1f}{usd:>9.2f}"
        )
        for name, value in (("hours", seconds / HOUR), ("node_hours", sum(hours.values())), ("usd", usd)):
            total[name] += value
    total["usd_per_million_photos"] = total["usd"] / plan.photos * 1e6
    print(f"{'all':18}{total['hours']:>8.2f}{'':>10}{total['node_hours']:>12.1f}{'':>14}{total['usd']:>9.2f}")
    print(f"USD {total['usd_per_million_photos']:.2f} a million photos, mean of {seeds} simulated runs")
    if plan.assumed:
        print("assumed, not measured: " + ", ".join(f"{path} = {value}" for path, value in plan.assumed.items()))
    return total


def put(inputs: dict[str, Any], assignment: str) -> None:
    """`steps.embed photos.decode.rows_per_s=48` into the inputs; it is no longer assumed, then.

    Raises:
        InputError: there is no such figure.
    """
    path, _, value = assignment.partition("=")
    where, last = _find(inputs, path)
    where[last] = json.loads(value)
    inputs["assumed"] = [name for name in inputs.get("assumed", ()) if name != path]


def _get(inputs: Mapping[str, Any], path: str) -> Any:
    where, last = _find(inputs, path)
    return where[last]


def _find(inputs: Mapping[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """The table that holds a figure, and its name there."""
    where: Any = inputs
    *parts, last = path.split(".")
    for part in parts:
        where = _entry(where, part, path)
    if not isinstance(where, dict) or last not in where:
        raise InputError(f"{path}: there is no such figure")
    return where, last


def _entry(where: Any, part: str, path: str) -> Any:
    named = where if isinstance(where, dict) else {entry["name"]: entry for entry in where}
    named = named if part in named or "stages" not in named else {e["name"]: e for e in named["stages"]}
    if part not in named:
        raise InputError(f"{path}: there is no {part!r}; there are {', '.join(named)}")
    return named[part]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("inputs", nargs="?", type=Path, default=ROOT / "docs" / "scale.json")
    parser.add_argument(
        "--set", action="append", default=[], metavar="PATH=VALUE", help="a figure, instead of the file's"
    )
    parser.add_argument("--seeds", type=int, default=5, help="simulated runs a step")
    arguments = parser.parse_args()
    inputs = json.loads(arguments.inputs.read_text())
    try:
        for assignment in arguments.set:
            put(inputs, assignment)
        total = report(read_plan(inputs, yaml.safe_load((ROOT / "cluster.yaml").read_text())), arguments.seeds)
    except InputError as error:
        raise SystemExit(f"error: {error}") from error
    print(json.dumps({"name": "scale", **{name: round(value, 4) for name, value in total.items()}}))


if __name__ == "__main__":
    main()
