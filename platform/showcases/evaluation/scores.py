"""Per-example statistics of the metrics that two models are compared by, in a storable form.

A model can thus be compared with one that was evaluated months ago, without running either.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from showcases.errors import ArtifactError
from showcases.metrics.bootstrap import DRAWS, Difference, Statistic, Sums, paired_bootstrap, ratio
from showcases.metrics.ranking import f1_of_sums
from showcases.metrics.text import bleu_of_sums

SCORES_FILE = "scores.json"
# higher is better for all of them
VALUES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "f1": f1_of_sums,
    "BLEU-1": partial(bleu_of_sums, 1),
    "CLIP-Align": ratio,
}


@dataclass(frozen=True)
class Scores:
    """One model on one test set.

    Attributes:
        setting: must be equal for two models to be comparable, e.g. the digest of the test set.
        examples: ids of the n reviews.
        rows: by figure, (n, s) as in `bootstrap.Sums`.
    """

    setting: dict[str, str]
    examples: list[str]
    rows: dict[str, list[list[float]]]

    @staticmethod
    def of(setting: dict[str, str], examples: list[str], statistics: dict[str, Statistic | None]) -> "Scores":
        """Create scores from the storable ones of these statistics; None marks a missing one."""
        stored = {name: each.rows.tolist() for name, each in statistics.items() if isinstance(each, Sums)}
        return Scores(setting, examples, stored)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str, place: str) -> "Scores":
        """
        Args:
            place: source, for the error.

        Raises:
            ArtifactError: invalid format.
        """
        try:
            return Scores(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise ArtifactError(f"{place}: invalid scores ({error}); jobs.evaluate writes them") from error

    def statistic(self, figure: str, examples: list[str]) -> Sums:
        """Statistic of a subset of the examples, in the given order."""
        place = {name: number for number, name in enumerate(self.examples)}
        rows = np.array(self.rows[figure])[[place[name] for name in examples]]
        return Sums(rows, VALUES[figure])


def compare(one: Scores, other: Scores, draws: int = DRAWS, seed: int = 0) -> tuple[int, dict[str, Difference]]:
    """Paired bootstrap of one model minus the other, over the examples that both have.

    Returns:
        (examples, difference by figure).
    """
    theirs = set(other.examples)
    both = [name for name in one.examples if name in theirs]
    found = {
        figure: paired_bootstrap(one.statistic(figure, both), other.statistic(figure, both), draws, seed)
        for figure in one.rows
        if figure in other.rows and len(both) > 1
    }
    return len(both), {figure: difference for figure, difference in found.items() if difference is not None}
