"""What came of a sweep's trials: in order, as a table, as a file, and the best of them as a config."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from showcases.errors import ShowcasesError
from tuning.kinds import Plan
from tuning.runs import trial_name
from tuning.spaces import Point, plain
from tuning.trial import POINT, number_of


@dataclass(frozen=True)
class Outcome:
    """A trial that ended well.

    Attributes:
        trial: Ray Tune's id of it.
        number: its place in the sweep; 0 is the paper's point.
        point: where it was; with pbt where it was in the end.
        figures: of the saved model.
        epochs: that it trained; fewer than the sweep's where it was stopped early.
        seconds: that it took.
    """

    trial: str
    number: int
    point: Point
    figures: dict[str, float]
    epochs: int
    seconds: float

    @property
    def name(self) -> str:
        return trial_name(self.number)


def outcome_of(plan: Plan, metrics: dict[str, Any]) -> Outcome | None:
    """The outcome of a trial, from the last that it reported; none where it never came to a figure."""
    wanted = dict.fromkeys((plan.kind.family.objective, *plan.goal.metrics, plan.goal.score))
    if any(name not in metrics for name in wanted):
        return None
    return Outcome(
        trial=metrics["trial_id"],
        number=number_of(metrics["trial_id"], metrics["config"]),
        point=dict(metrics["config"][POINT]),
        figures={name: float(metrics[name]) for name in wanted},
        epochs=round(metrics["epoch"]),
        seconds=float(metrics["time_total_s"]),
    )


def in_order(plan: Plan, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The best first.

    Raises:
        ShowcasesError: there is none.
    """
    if not outcomes:
        raise ShowcasesError("no trial ended well; the errors are printed above")
    sign = -1.0 if plan.goal.larger_is_better else 1.0
    return sorted(outcomes, key=lambda outcome: sign * outcome.figures[plan.goal.score])


def whole(outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those that trained as long as any: the figure of one that was stopped early is of fewer epochs."""
    longest = max(outcome.epochs for outcome in outcomes)
    return [outcome for outcome in outcomes if outcome.epochs == longest]


def front(plan: Plan, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """The Pareto front: those that no other is as good as in every figure and better than in one."""
    sign = 1.0 if plan.goal.larger_is_better else -1.0

    def gains(outcome: Outcome) -> list[float]:
        return [sign * outcome.figures[name] for name in plan.goal.metrics]

    def beaten(one: list[float], other: list[float]) -> bool:
        return one != other and all(b >= a for a, b in zip(one, other, strict=True))

    return [one for one in outcomes if not any(beaten(gains(one), gains(other)) for other in outcomes)]


def columns(plan: Plan) -> list[str]:
    """Names of a table's figures: those that are searched on, their product, the objective of training."""
    return list(dict.fromkeys((plan.goal.score, *plan.goal.metrics, plan.kind.family.objective)))


def as_csv(plan: Plan, outcomes: Sequence[Outcome]) -> str:
    """A row a trial, in the order given."""
    best = front(plan, outcomes)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["trial", *plan.options, *columns(plan), "epochs", "seconds", "front"])
    for outcome in outcomes:
        figures = [outcome.figures[name] for name in columns(plan)]
        own = [outcome.point[name] for name in plan.options]
        writer.writerow([outcome.name, *own, *figures, outcome.epochs, round(outcome.seconds, 1), outcome in best])
    return table.getvalue()


def rows(plan: Plan, outcomes: Sequence[Outcome]) -> list[list[str]]:
    """The table for a person: a head, then a row a trial; * is of the Pareto front, where there are several figures."""
    best = front(plan, outcomes) if len(plan.goal.metrics) > 1 else []
    head = ["trial", *columns(plan), "epochs", *plan.options]
    return [head] + [
        [
            outcome.name + "*" * (outcome in best),
            *(f"{outcome.figures[name]:.4f}" for name in columns(plan)),
            str(outcome.epochs),
            *(_short(outcome.point[name]) for name in plan.options),
        ]
        for outcome in outcomes
    ]


def as_text(table: Sequence[Sequence[str]]) -> str:
    """Columns of one width."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in table)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def best_yaml(plan: Plan, outcome: Outcome) -> str:
    """The step's whole section with its options at the outcome's point: a file for `--config`."""
    return yaml.safe_dump({plan.kind.family.step.name: plain(plan.at(outcome.point))}, sort_keys=False)
