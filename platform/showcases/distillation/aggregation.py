"""From several people's votes on a pair to one label: by majority, or weighed by how careful each person is."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from showcases.distillation.labelstudio import LabelledPair
from showcases.errors import ConfigError
from showcases.extras import imports_of

Aggregate = Literal["majority", "dawid-skene"]
EVEN = 1e-9  # a probability this near to one half decides nothing


@dataclass(frozen=True)
class Skill:
    """How an annotator does, measured by the labels that all together came to.

    Attributes:
        answers: votes on pairs that got a label.
        agreeing: share of them that are the pair's label, 0 to 1.
        finds: estimated probability, 0 to 1, that they see a match that is one; by Dawid-Skene alone.
        rejects: the same, that they see none where there is none.
    """

    annotator: str
    answers: int
    agreeing: float
    finds: float | None = None
    rejects: float | None = None

    def line(self) -> str:
        """For a person."""
        said = f"{self.annotator}: {self.answers} answers, {100 * self.agreeing:.1f} % as the label"
        if self.finds is None or self.rejects is None:
            return said
        return f"{said}; finds {100 * self.finds:.0f} % of matches, rejects {100 * self.rejects:.0f} % of the others"


@dataclass(frozen=True)
class Consensus:
    """What the votes came to.

    Attributes:
        labels: 1, 0 or None (undecided), a pair.
        skills: of each annotator.
        changed: decided pairs whose label is not what most voted for; ties are not among them.
        settled: pairs with a tie that were decided all the same.
    """

    method: Aggregate
    labels: list[int | None]
    skills: list[Skill]
    changed: int = 0
    settled: int = 0

    def lines(self) -> list[str]:
        """For a person."""
        told = []
        if self.method == "dawid-skene":
            told.append(
                f"Dawid-Skene: {self.changed} labels are not what most answered, {self.settled} ties are settled"
            )
        return [*told, *(skill.line() for skill in self.skills)]


def find_consensus(labelled: Sequence[LabelledPair], method: Aggregate = "majority") -> Consensus:
    """One label a pair.

    Args:
        labelled: of `read_exports`; all of them, as more answers tell more about their annotators.
        method: majority leaves ties undecided; dawid-skene weighs each vote by its annotator's estimated confusion and
            settles most ties.
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
        The likelier label of each pair (its posterior is above one half), None where both are as likely; and by
        annotator the estimated probability that they say match of a match, and no match of none.

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
    probability = chances[1] if 1 in chances else 0 * chances[0]  # of a match; no column where nobody saw one
    labels = [None if abs(p - 0.5) < EVEN else int(p > 0.5) for p in probability.reindex(range(len(labelled)))]
    confusion = {
        who: (_entry(model.errors_, who, 1), _entry(model.errors_, who, 0))
        for who in dict.fromkeys(row[1] for row in rows)
    }
    return labels, confusion


def _entry(errors: "pd.DataFrame", who: str, label: int) -> float:  # type: ignore[name-defined] # noqa: F821
    """Probability that they say `label` of what is `label`."""
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
