"""Aggregate annotators' votes on a pair to one label: by majority, or by Dawid-Skene."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from showcases.distillation.labelstudio import LabelledPair
from showcases.errors import ConfigError
from showcases.extras import imports_of

Aggregate = Literal["majority", "dawid-skene"]
EVEN = 1e-9  # a probability this close to one half is a tie


@dataclass(frozen=True)
class Skill:
    """An annotator's agreement with the aggregated labels.

    Attributes:
        answers: votes on pairs that got a label.
        agreeing: share of them equal to the pair's label, 0 to 1.
        finds: estimated sensitivity, 0 to 1; only with Dawid-Skene.
        rejects: estimated specificity, likewise.
    """

    annotator: str
    answers: int
    agreeing: float
    finds: float | None = None
    rejects: float | None = None

    def line(self) -> str:
        """Lines for display."""
        said = f"{self.annotator}: {self.answers} answers, {100 * self.agreeing:.1f} % as the label"
        if self.finds is None or self.rejects is None:
            return said
        return f"{said}; finds {100 * self.finds:.0f} % of matches, rejects {100 * self.rejects:.0f} % of the others"


@dataclass(frozen=True)
class Consensus:
    """Result of the aggregation.

    Attributes:
        labels: 1, 0 or None (undecided), a pair.
        skills: of each annotator.
        changed: decided pairs whose label differs from the majority; excludes ties.
        settled: ties that were decided.
    """

    method: Aggregate
    labels: list[int | None]
    skills: list[Skill]
    changed: int = 0
    settled: int = 0

    def lines(self) -> list[str]:
        """Lines for display."""
        lines = []
        if self.method == "dawid-skene":
            lines.append(
                f"Dawid-Skene: {self.changed} labels differ from the majority, {self.settled} ties are decided"
            )
        return [*lines, *(skill.line() for skill in self.skills)]


def find_consensus(labelled: Sequence[LabelledPair], method: Aggregate = "majority") -> Consensus:
    """Find one label per pair.

    Args:
        labelled: from `read_exports`; all of them, because more answers improve the estimates of annotators.
        method: majority leaves ties undecided; dawid-skene weighs each vote by its annotator's estimated confusion and
            decides most ties.
    """
    if method not in get_args(Aggregate):
        raise ConfigError(f"annotate.aggregate is {method!r}; allowed: {', '.join(get_args(Aggregate))}")
    most = [_majority(pair.votes) for pair in labelled]
    if method == "majority" or not labelled:
        return Consensus(method, most, _skills(labelled, most, {}))
    labels, confusion = dawid_skene(labelled)
    decided = [(old, new) for old, new in zip(most, labels, strict=True) if new is not None]
    changed = sum(old is not None and old != new for old, new in decided)
    return Consensus(
        method, labels, _skills(labelled, labels, confusion), changed, sum(old is None for old, _ in decided)
    )


def dawid_skene(labelled: Sequence[LabelledPair]) -> tuple[list[int | None], dict[str, tuple[float, float]]]:
    """Labels by expectation maximisation over true labels and annotators' confusion.

    Returns:
        The more probable label of each pair, None on a tie; and by annotator the estimated sensitivity and
            specificity.

    Source: Dawid & Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM algorithm", as
        crowd-kit computes it, from the majority's shares on.
    """
    with imports_of("annotation"):
        import pandas as pd
        from crowdkit.aggregation import DawidSkene

    rows = [
        (number, who, vote)
        for number, pair in enumerate(labelled)
        for who, vote in zip(pair.annotators, pair.votes, strict=True)
    ]
    model = DawidSkene(n_iter=200, tol=1e-7).fit(pd.DataFrame(rows, columns=["task", "worker", "label"]))
    chances: pd.DataFrame = model.probas_
    probability = chances[1] if 1 in chances else 0 * chances[0]  # of a match; there is no column if nobody saw one
    labels = [None if abs(p - 0.5) < EVEN else int(p > 0.5) for p in probability.reindex(range(len(labelled)))]
    confusion = {
        who: (_entry(model.errors_, who, 1), _entry(model.errors_, who, 0))
        for who in dict.fromkeys(row[1] for row in rows)
    }
    return labels, confusion


def _entry(errors: "pd.DataFrame", who: str, label: int) -> float:  # type: ignore[name-defined] # noqa: F821
    """Probability that the annotator answers `label` if the truth is `label`."""
    known = (who, label) in errors.index and label in errors.columns
    return float(errors.loc[(who, label), label]) if known else 0.0


def _majority(votes: Sequence[int]) -> int | None:
    twice = 2 * sum(votes)
    return None if twice == len(votes) else int(twice > len(votes))


def _skills(
    labelled: Sequence[LabelledPair], labels: Sequence[int | None], confusion: Mapping[str, tuple[float, float]]
) -> list[Skill]:
    answers: Counter[str] = Counter()
    agreeing: Counter[str] = Counter()
    for pair, label in zip(labelled, labels, strict=True):
        for who, vote in zip(pair.annotators, pair.votes, strict=True):
            if label is not None:
                answers[who] += 1
                agreeing[who] += vote == label
    return [
        Skill(who, count, agreeing[who] / count, *confusion.get(who, (None, None)))
        for who, count in sorted(answers.items())
    ]
