"""The two sweeps: which step each trains, which options it may vary, what it judges by."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs import train_generator, train_selector
from jobs.runner.config import PipelineConfig
from jobs.training.variants import Family
from showcases.errors import ConfigError
from tuning.options import SweepConfig
from tuning.spaces import GENERATOR, SELECTOR, Option, Point, Value, at_point, chosen, paper_point

TEXT_FIGURES = ("BLEU-1", "CLIP-Align", "Distinct-2")  # of search_algorithm multi; larger is better
SCORE = "product"  # of these three


@dataclass(frozen=True)
class Kind:
    """What is swept.

    Args:
        family: of the models; the first variant and seed of its step's config are trained at each point.
        config: that section of the whole config.
        options: that may be varied.
        usual: those that are varied if the user names none.
        texts: its models write, so that texts can be judged.
    """

    family: Family[Any, Any]
    config: Callable[[PipelineConfig], Any]
    options: dict[str, Option]
    usual: tuple[str, ...]
    texts: bool = False

    @property
    def name(self) -> str:
        return self.family.artifact


GENERATOR_KIND = Kind(
    train_generator.FAMILY,
    lambda config: config.train_generator,
    GENERATOR,
    ("lambda_image", "lambda_text", "alpha", "tau"),
    texts=True,
)
SELECTOR_KIND = Kind(
    train_selector.FAMILY,
    lambda config: config.train_selector,
    SELECTOR,
    ("kernel", "delta", "sigma", "hidden_dims", "learning_rate"),
)


@dataclass(frozen=True)
class Goal:
    """What the points of a sweep are compared by.

    Args:
        metrics: names of the figures that are searched on: one, or three of texts.
        score: the figure that orders the table; with three it is their product.
        larger_is_better: of all of these.
    """

    metrics: tuple[str, ...]
    score: str
    larger_is_better: bool

    @property
    def mode(self) -> str:
        return "max" if self.larger_is_better else "min"


@dataclass(frozen=True)
class Plan:
    """A sweep, settled: what is varied, from where, judged by what.

    Attributes:
        own: the section of `config` that is varied.
        paper: the first point.
    """

    kind: Kind
    config: PipelineConfig
    own: Any
    sweep: SweepConfig
    options: dict[str, Option]
    paper: Point
    goal: Goal

    @property
    def place(self) -> tuple[str, ...]:
        """Of its results, in the workspace."""
        return ("_sweeps", self.kind.name, self.sweep.name)

    @property
    def run(self) -> str:
        """What its folders of unfinished trainings begin with."""
        return f"sweep-{self.kind.name}"

    @property
    def title(self) -> str:
        """What its run in MLflow is called."""
        return self.run if self.sweep.name == SweepConfig.name else f"{self.run} {self.sweep.name}"

    def at(self, point: Mapping[str, Value]) -> Any:
        """The step's config at a point."""
        return at_point(self.options, self.own, point)


def plan(kind: Kind, config: PipelineConfig, sweep: SweepConfig) -> Plan:
    """Settle what a sweep does.

    Raises:
        ConfigError: it can't be done.
    """
    if sweep.search_algorithm == "multi" and not kind.texts:
        raise ConfigError(f"search_algorithm multi judges texts; a {kind.name} writes none: take tpe, grid or random")
    wanted: Sequence[str] | Mapping[str, Any] = sweep.wanted(kind.usual)
    own, options = kind.config(config), chosen(kind.options, wanted)
    paper = paper_point(options, own)
    options = {name: option.holding(paper[name]) for name, option in options.items()}
    loss = kind.family.objective
    goal = Goal(TEXT_FIGURES, SCORE, True) if sweep.search_algorithm == "multi" else Goal((loss,), loss, False)
    return Plan(kind, config, own, sweep, options, paper, goal)
