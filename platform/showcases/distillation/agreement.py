"""Inter-annotator agreement beyond chance: labels without agreement can't train a classifier."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from showcases.distillation.labelstudio import LabelledPair
from showcases.extras import imports_of

Votes = Sequence[int]  # 0 or 1, for one pair


@dataclass(frozen=True)
class Agreement:
    """Agreement of all annotators over all pairs with votes.

    Attributes:
        krippendorff_alpha: at most 1; 0 is chance level. None if undefined.
        fleiss_kappa: the same scale, over `fleiss_pairs` pairs with `fleiss_raters` votes each.
        percent_agreement: 0 to 100, share of equal (vote, vote) couples on one pair, not corrected for chance.
        pairs: with a vote.
        pairs_with_two: with two votes or more; the others say nothing about agreement.
        disputed: pairs on which votes differ.
        answers: votes by annotator.
    """

    krippendorff_alpha: float | None
    fleiss_kappa: float | None
    fleiss_pairs: int
    fleiss_raters: int
    percent_agreement: float | None
    pairs: int
    pairs_with_two: int
    disputed: int
    answers: dict[str, int]

    def figures(self) -> dict[str, Any]:
        """The defined figures as plain values."""
        figures = {name: value for name, value in asdict(self).items() if value is not None}
        figures["annotators"] = len(figures.pop("answers"))
        return figures

    def lines(self) -> list[str]:
        """Lines for display."""
        if self.percent_agreement is None:
            return ["agreement: unknown, because no pair has two answers"]
        kappa = (
            f"on {self.fleiss_pairs} of {self.pairs_with_two} pairs with several answers "
            f"(those with {self.fleiss_raters})"
        )
        return [
            f"agreement of {len(self.answers)} annotators: Krippendorff's alpha {_describe(self.krippendorff_alpha)}, "
            f"Fleiss' kappa {_describe(self.fleiss_kappa)} {kappa}",
            f"{self.percent_agreement:.1f} % of couples of answers are equal; answers differ on {self.disputed} of "
            f"{self.pairs_with_two} pairs",
        ]


def measure_agreement(labelled: Sequence[LabelledPair]) -> Agreement:
    """Compute all measures for the pairs of `read_exports`."""
    units = [pair.votes for pair in labelled]
    kappa, used, raters = fleiss_kappa(units)
    return Agreement(
        krippendorff_alpha(units),
        kappa,
        used,
        raters,
        percent_agreement(units),
        pairs=len(units),
        pairs_with_two=sum(len(votes) >= 2 for votes in units),
        disputed=sum(len(set(votes)) > 1 for votes in units),
        answers=dict(sorted(Counter(who for pair in labelled for who in pair.annotators).items())),
    )


def krippendorff_alpha(units: Sequence[Votes]) -> float | None:
    """Krippendorff's alpha of yes/no votes, for any number of annotators per pair.

    Args:
        units: votes per pair. Pairs with fewer than two are ignored.

    Returns:
        At most 1. None if undefined: no pair has two votes, or all votes are equal.

    Source: Krippendorff 2011, "Computing Krippendorff's alpha-reliability", section C (nominal data, any number of
        observers, missing data), as the package `krippendorff` computes it.
    """
    counts = _counts(votes for votes in units if len(votes) >= 2)
    if not counts.sum(axis=0).all():
        return None
    with imports_of("annotation"):
        from krippendorff import alpha  # lazy: rarely needed

    return float(alpha(value_counts=counts, level_of_measurement="nominal"))


def fleiss_kappa(units: Sequence[Votes]) -> tuple[float | None, int, int]:
    """Fleiss' kappa of yes/no votes, on the pairs with the most frequent number of votes (at least two).

    Returns:
        Kappa, at most 1, None if no pair has two votes or all used votes are equal; pairs used; votes per pair.

    Source: Fleiss 1971, "Measuring nominal scale agreement among many raters", as statsmodels computes it.
    """
    sizes = Counter(len(votes) for votes in units if len(votes) >= 2)
    if not sizes:
        return None, 0, 0
    raters = max(sizes, key=lambda size: (sizes[size], size))
    counts = _counts(votes for votes in units if len(votes) == raters)
    if not counts.sum(axis=0).all():
        return None, len(counts), raters
    with imports_of("annotation"):
        from statsmodels.stats.inter_rater import fleiss_kappa as kappa

    return float(kappa(counts)), len(counts), raters


def percent_agreement(units: Sequence[Votes]) -> float | None:
    """0 to 100: share of equal (vote, vote) couples on one pair; None if no pair has two votes."""
    counts = _counts(units).astype(np.int64)
    size = counts.sum(axis=1)
    couples = int((size * (size - 1)).sum())
    return 100 * float((counts * (counts - 1)).sum()) / couples if couples else None


def _counts(units: Any) -> np.ndarray:
    """(n, 2) counts of the votes 0 and 1."""
    return np.array([(len(votes) - sum(votes), sum(votes)) for votes in units], np.int64).reshape(-1, 2)


def _describe(figure: float | None) -> str:
    return "undefined (all answers are the same)" if figure is None else f"{figure:.3f}"
