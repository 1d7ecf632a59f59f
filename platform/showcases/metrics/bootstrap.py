"""Bootstrap over examples: 95 % intervals, and the paired test of two systems.

What each example adds to a metric is resampled, not its text, so a thousand draws cost less than the metric itself.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

DRAWS = 1000
INTERVAL = (0.025, 0.975)
CHUNK = 100  # draws at once: (100, n) weights are small for any n


class Statistic(Protocol):
    """A metric of n examples as a function of how often each one counts."""

    @property
    def n(self) -> int:
        """Examples."""

    @property
    def stretch(self) -> float | None:
        """None: n examples are drawn with putting back. Else a fifth is left out, and what that moves is stretched."""

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """(B,) values, NaN where there is none, for weights (B, n) int; all ones give the metric itself."""


@dataclass(frozen=True)
class Sums:
    """A metric of sums over the examples: a mean, BLEU, NIST, METEOR.

    Attributes:
        rows: (n, s), what each example adds to the s sums.
        value: from sums (B, s) to (B,).
    """

    rows: np.ndarray
    value: Callable[[np.ndarray], np.ndarray]
    stretch: float | None = None

    @property
    def n(self) -> int:
        return len(self.rows)

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        return self.value(weights @ self.rows)


def ratio(sums: np.ndarray) -> np.ndarray:
    """(B,) first sum over the second of (B, 2), NaN where that is 0."""
    return np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] > 0)


class Kinds:
    """A metric that counts how many different things the examples hold: Distinct-n, USR, feature coverage.

    A bootstrap's sample holds some examples twice, which adds nothing new and would look like a dull writer. So a fifth
    of the examples is left out at random, and how far that moves the value is stretched to how far n new examples
    would (the delete-d jackknife of Shao & Wu 1989).

    Args:
        things: of each example.
        total: what the number of different ones is divided by; None: the number of all, repeated ones too.
    """

    def __init__(self, things: Sequence[Sequence[object]], total: int | None = None) -> None:
        numbers: dict[object, int] = {}
        self.kinds = np.array([numbers.setdefault(thing, len(numbers)) for part in things for thing in part], int)
        self.lengths = np.array([len(part) for part in things], int)
        self.owners = np.repeat(np.arange(len(things)), self.lengths)
        self.different, self.total = len(numbers), total
        self.stretch = stretch_of(len(things)) * (1.0 if total is None else len(things) / kept(len(things)))

    @property
    def n(self) -> int:
        return len(self.lengths)

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        seen = np.zeros((len(weights), self.different), bool)
        for row, weight in zip(seen, weights, strict=True):
            row[self.kinds[weight[self.owners] > 0]] = True
        count = weights @ self.lengths if self.total is None else np.full(len(weights), self.total)
        return ratio(np.stack([seen.sum(1), count], axis=1).astype(float))


def kept(n: int) -> int:
    """How many of n examples stay where a fifth is left out."""
    return max(1, n - max(1, n // 5))


def stretch_of(n: int) -> float:
    """By what deviations of a mean of the examples kept must be multiplied to be those of a mean of n new ones.

    A fixed divisor makes a sum of it, which wants n / kept more.
    """
    return float(np.sqrt(kept(n) / max(1, n - kept(n))))


def draw_weights(n: int, draws: int, seed: int, leave_out: bool) -> Iterator[np.ndarray]:
    """Weights (at most 100, n) int, `draws` rows in all; the same for the same arguments, which pairs the systems."""
    random = np.random.default_rng([seed, n])
    for start in range(0, draws, CHUNK):
        size = min(CHUNK, draws - start)
        if leave_out:
            yield (random.random((size, n)).argsort(axis=1) < kept(n)).astype(int)
        else:
            yield random.multinomial(n, np.full(n, 1 / n), size=size)


def whole(statistic: Statistic) -> float:
    """The metric on all examples as they are."""
    return float(statistic(np.ones((1, statistic.n), int))[0])


def replicates(statistic: Statistic, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """(draws,) values of the metric on resampled examples."""
    parts = draw_weights(statistic.n, draws, seed, statistic.stretch is not None)
    return np.concatenate([statistic(weights) for weights in parts])


def interval(statistic: Statistic, draws: int = DRAWS, seed: int = 0) -> tuple[float, float] | None:
    """95 % percentile interval; None where fewer than two examples or no value.

    That of a `Kinds` lies about the value rather than about its replicates, for fewer examples hold relatively more
    kinds. It is a share, so it ends at 0 and 1.
    """
    if statistic.n < 2 or draws < 1 or np.isnan(whole(statistic)):
        return None
    found = replicates(statistic, draws, seed)
    if statistic.stretch is None:
        low, high = np.nanquantile(found, INTERVAL)
    else:
        away = np.nanquantile(found - np.nanmedian(found), INTERVAL) * statistic.stretch
        low, high = np.clip(whole(statistic) + away, 0.0, 1.0)
    return float(low), float(high)


@dataclass(frozen=True)
class Difference:
    """One system's value less another's on the same examples, its 95 % interval, the two-sided p of none."""

    value: float
    low: float
    high: float
    p: float


class HasStatistic(Protocol):
    """What carries a statistic with it, as a `Figure` does."""

    @property
    def statistic(self) -> Statistic | None: ...


def paired_bootstrap(
    one: "Statistic | HasStatistic | np.ndarray",
    other: "Statistic | HasStatistic | np.ndarray",
    draws: int = DRAWS,
    seed: int = 0,
) -> Difference | None:
    """Test whether two systems differ; both are resampled alike.

    Args:
        one: a metric's statistic or figure, or (n,) values, whose mean is compared (NaN: no value); of n examples.
        other: the same metric of another system, of the same examples in the same order.
        draws: samples of the examples.
        seed: of the samples.

    p is the share of draws whose difference lies as far from the draws' mean as the observed one from 0, with one
    added above and below, so that it is never 0. (sacrebleu's `--paired-bs` takes absolute values before their mean,
    and so prints other p.)

    Returns:
        None where fewer than two examples, or where one system has no value.

    Raises:
        ValueError: not the same metric, or not the same number of examples.

    Source: Koehn 2004, "Statistical significance tests for machine translation evaluation"; the shift to no difference
    is Riezler & Maxwell's (2005).
    """
    one, other = _statistic(one), _statistic(other)
    if (one.n, one.stretch) != (other.n, other.stretch):
        raise ValueError(f"statistics of {one.n} and {other.n} examples, or of unlike metrics: they can't be paired")
    value = whole(one) - whole(other) if one.n > 1 else np.nan
    if np.isnan(value):
        return None
    found = replicates(one, draws, seed) - replicates(other, draws, seed)
    found = found[~np.isnan(found)]
    away = (found - found.mean()) * (one.stretch or 1.0)
    low, high = np.quantile(found if one.stretch is None else away + value, INTERVAL)
    p = (np.count_nonzero(np.abs(away) >= abs(value)) + 1) / (len(found) + 1)
    return Difference(float(value), float(low), float(high), float(p))


def _statistic(given: "Statistic | HasStatistic | np.ndarray") -> Statistic:
    if isinstance(given, np.ndarray):
        counted = ~np.isnan(given)
        return Sums(np.stack([np.where(counted, given, 0.0), counted], axis=1), ratio)
    itself: Any = given  # a statistic has no attribute `statistic`
    statistic: Statistic | None = getattr(given, "statistic", itself)
    if statistic is None:
        raise ValueError("a figure without a statistic can't be resampled")
    return statistic
