"""The two sweeps: which step each trains, which options it may vary, what it judges by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jobs import train_generator, train_selector
from jobs.runner.config import PipelineConfig
from jobs.runner.step import Step
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
        step: that trains the model; its first variant and seed are trained at each point.
        family: of its models.
        options: that may be varied.
        usual: those that are varied if the user names none.
        unit: of the objective, for a person.
        texts: its models write, so that texts can be judged.
    """

    step: Step
    family: Family
    options: dict[str, Option]
    usual: tuple[str, ...]
    unit: str
    texts: bool = False

    @property
    def name(self) -> str:
        return self.family.artifact

    @property
    def section(self) -> str:
        return f"train_{self.name}"

    @property
    def objective(self) -> str:
        """The metric of the weights that a training keeps."""
        return f"best_{self.family.monitor}"

    def config(self, config: PipelineConfig) -> Any:
        """The step's section."""
        return getattr(config, self.section)


GENERATOR_KIND = Kind(
    train_generator.STEP,
    train_generator.FAMILY,
    GENERATOR,
    ("lambda_image", "lambda_text", "alpha", "tau"),
    "nats a word",
    texts=True,
)
SELECTOR_KIND = Kind(
    train_selector.STEP,
    train_selector.FAMILY,
    SELECTOR,
    ("kernel", "delta", "sigma", "hidden_dims", "learning_rate"),
    "nats a set",
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
    """A sweep, settled: what is varied, from where, judged by what."""

    kind: Kind
    config: PipelineConfig
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
        return at_point(self.options, self.kind.config(self.config), point)


def plan(kind: Kind, config: PipelineConfig, sweep: SweepConfig) -> Plan:
    """Settle what a sweep does.

    Raises:
        ConfigError: it can't be done.
    """
    if sweep.search_algorithm == "multi" and not kind.texts:
        raise ConfigError(f"search_algorithm multi judges texts; a {kind.name} writes none: take tpe, grid or random")
    wanted: Sequence[str] | Mapping[str, Any] = sweep.wanted(kind.usual)
    options = chosen(kind.options, wanted)
    paper = paper_point(options, kind.config(config))
    options = {name: option.holding(paper[name]) for name, option in options.items()}
    multi = sweep.search_algorithm == "multi"
    one = Goal((kind.objective,), kind.objective, kind.family.larger_is_better)
    return Plan(kind, config, sweep, options, paper, Goal(TEXT_FIGURES, SCORE, True) if multi else one)
