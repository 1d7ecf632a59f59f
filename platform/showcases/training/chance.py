"""Chance level of metrics, to warn about a training that does not exceed it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

STANDARD_ERRORS = 3.0  # from chance, for a figure that is an average over examples
_EXPECTED, _REACHED, _AT_CHANCE = "chance_", "reached_", "at_chance_"  # prefixes of the reported figures


@dataclass(frozen=True)
class Chance:
    """A metric's value for an untrained model.

    Attributes:
        metric: its name among the reported metrics.
        value: its expectation.
        margin: distance from `value` that is not significant, in the metric's unit.
        larger_is_better: whether larger values of the metric are better.
    """

    metric: str
    value: float
    margin: float
    larger_is_better: bool

    def is_beaten_by(self, figure: float) -> bool:
        """Whether the figure is better than chance by more than the margin."""
        gain = figure - self.value if self.larger_is_better else self.value - figure
        return gain > self.margin

    def better(self, figure: float, other: float) -> float:
        """The better one of two figures."""
        return max(figure, other) if self.larger_is_better else min(figure, other)


def update_reached(reached: dict[str, float], chances: Sequence[Chance], metrics: Mapping[str, float]) -> None:
    """Update `reached` with the best value so far of each metric that has a chance level."""
    for chance in chances:
        if chance.metric in metrics:
            figure = metrics[chance.metric]
            reached[chance.metric] = chance.better(figure, reached.get(chance.metric, figure))


def chance_figures(chances: Sequence[Chance], reached: Mapping[str, float]) -> dict[str, float]:
    """For each metric: chance_*, its chance level; reached_*, the best so far; at_chance_*, 1 if it is no better."""
    figures: dict[str, float] = {}
    for chance in chances:
        if chance.metric in reached:
            best = reached[chance.metric]
            figures[_EXPECTED + chance.metric] = chance.value
            figures[_REACHED + chance.metric] = best
            figures[_AT_CHANCE + chance.metric] = float(not chance.is_beaten_by(best))
    return figures


def chance_warning(name: str, metrics: Mapping[str, float], causes: str) -> str | None:
    """A warning about a training whose metrics stayed at chance level, or None.

    Args:
        name: of the model.
        metrics: its last reported ones, see `chance_figures`.
        causes: likely causes.
    """
    stuck = [key.removeprefix(_AT_CHANCE) for key, flag in metrics.items() if key.startswith(_AT_CHANCE) and flag]
    if not stuck:
        return None
    figures = ", ".join(
        f"{metric} {metrics[_REACHED + metric]:.3f} at best (chance {metrics[_EXPECTED + metric]:.3f})"
        for metric in stuck
    )
    return f"WARNING: {name} is no better than chance: {figures}. Look for: {causes}"
