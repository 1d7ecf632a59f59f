"""Results: ratings by example, model and judge, significance tests, attention checks."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from showcases.evaluation.human.answers import Collected
from showcases.evaluation.human.key import Study
from showcases.evaluation.human.questions import QUESTIONS, Question
from showcases.evaluation.human.ratings import SignTest, ordinal_alpha, paired_means, sign_test

MAX_FAILED = 1 / 3  # share of answered checks; a judge who fails more was not paying attention


@dataclass(frozen=True)
class Attention:
    """A judge's results on the attention checks; a check counts if any of its questions is answered."""

    judge: int
    answered: int
    failed: int
    of: int

    @property
    def fails(self) -> bool:
        return self.answered > 0 and self.failed / self.answered > MAX_FAILED

    def report(self) -> str:
        verdict = "FAILS: too many" if self.fails else "passes" if self.answered else "nothing to judge by"
        return (
            f"judge {self.judge}: {self.failed} of {self.answered} checks answered failed ({self.of} asked): {verdict}"
        )


@dataclass(frozen=True)
class Outcome:
    """Everything that `import` reports.

    Attributes:
        scores: by question, (examples, models, judges) ratings, NaN if missing.
        agreement: Krippendorff's ordinal alpha by question; None if undefined.
        tests: ours against each other model, by question.
        excluded: judges whose answers were excluded.
    """

    study: Study
    scores: Mapping[str, np.ndarray]
    agreement: Mapping[str, float | None]
    tests: Mapping[str, Mapping[str, SignTest]]
    attention: Sequence[Attention]
    excluded: Collection[int] = field(default_factory=tuple)


def outcome(collected: Collected, exclude_failed: bool = False) -> Outcome:
    """Compute the results; `exclude_failed` excludes judges who fail the attention checks."""
    study, attention = collected.study, check_attention(collected)
    excluded = [entry.judge for entry in attention if entry.fails] if exclude_failed else []
    scores = {question.name: _scores(collected, question, excluded) for question in QUESTIONS}
    ours = len(study.models) - 1
    tests = {
        name: {other: sign_test(*paired_means(table, ours, number)) for number, other in enumerate(study.models[:ours])}
        for name, table in scores.items()
    }
    agreement = {name: ordinal_alpha(table.reshape(-1, study.judges)) for name, table in scores.items()}
    return Outcome(study, scores, agreement, tests, attention, tuple(excluded))


def check_attention(collected: Collected) -> list[Attention]:
    """Each judge's checks."""
    result = []
    for judge in range(1, collected.study.judges + 1):
        checks = [item for item in collected.study.of_judge(judge) if item.kind != "text"]
        answered = failed = 0
        for item in checks:
            given = collected.ratings.get(item.token, {})
            expected = {name: span for name, span in item.expected.items() if name in given}
            answered += bool(expected)
            failed += any(not low <= given[name] <= high for name, (low, high) in expected.items())
        result.append(Attention(judge, answered, failed, len(checks)))
    return result


def _scores(collected: Collected, question: Question, excluded: Collection[int]) -> np.ndarray:
    study = collected.study
    texts = [item for item in study.items if item.kind == "text"]
    examples = {name: number for number, name in enumerate(dict.fromkeys(item.review_id for item in texts))}
    table = np.full((len(examples), len(study.models), study.judges), np.nan)
    for item in texts:
        rating = collected.ratings.get(item.token, {}).get(question.name)
        if rating is not None and item.judge not in excluded:
            table[examples[item.review_id], study.models.index(item.model), item.judge - 1] = rating
    return table
