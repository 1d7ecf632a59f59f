"""Statistics of ratings: means of examples, the sign test, agreement."""

import warnings
from dataclasses import dataclass

import numpy as np

from showcases.evaluation.human.questions import SCALE
from showcases.extras import imports_of


@dataclass(frozen=True)
class SignTest:
    """Two models on the same examples; an example is won by the higher mean rating.

    Attributes:
        ties: examples with equal means, which the sign test drops.
        p: two-sided p-value under equal chances; 1 if all are ties.
    """

    wins: int
    losses: int
    ties: int
    p: float


def example_means(ratings: np.ndarray) -> np.ndarray:
    """(n,) mean over the judges of (n, judges); NaN if nobody rated."""
    counted = ~np.isnan(ratings)
    sums, counts = np.where(counted, ratings, 0.0).sum(-1), counted.sum(-1)
    return np.divide(sums, counts, out=np.full(len(ratings), np.nan), where=counts > 0)


def paired_means(table: np.ndarray, ours: int, other: int) -> tuple[np.ndarray, np.ndarray]:
    """Example means of two models over the judges who rated both, (n,) each; NaN if there is no such judge."""
    both = ~np.isnan(table[:, ours]) & ~np.isnan(table[:, other])
    one, two = (example_means(np.where(both, table[:, model], np.nan)) for model in (ours, other))
    return one, two


def sign_test(ours: np.ndarray, other: np.ndarray) -> SignTest:
    """Two-sided sign test of paired values (n,); pairs with NaN are dropped.

    Source: Dixon & Mood 1946, "The statistical sign test".
    """
    from scipy.stats import binomtest  # lazy: slow to import

    away = np.round(ours - other, 9)  # means of thirds: 2/3 + 2/3 + 2/3 may differ from 2 by rounding
    wins, losses, ties = (int(np.count_nonzero(hit)) for hit in (away > 0, away < 0, away == 0))
    p = float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
    return SignTest(wins, losses, ties, p)


def ordinal_alpha(ratings: np.ndarray) -> float | None:
    """Krippendorff's alpha, ordinal, of (texts, judges) with NaN for no rating.

    Returns:
        At most 1; 0 is chance level. None if no text has two ratings, or all ratings are equal.

    Source: Krippendorff 2011, "Computing Krippendorff's alpha-reliability"; by the library `krippendorff`.
    """
    with imports_of("annotation"):
        import krippendorff  # lazy: only needed for answers

    if not (np.count_nonzero(~np.isnan(ratings), axis=1) > 1).any():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # 0 / 0 if all ratings are equal
        value = krippendorff.alpha(ratings.T, value_domain=list(SCALE), level_of_measurement="ordinal")
    return None if np.isnan(value) else float(value)
