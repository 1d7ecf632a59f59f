"""Bootstrap over examples: 95 % intervals, and the paired test of two systems.

Resamples each example's contribution to a metric, not its text, so a thousand draws cost less than the metric itself.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

DRAWS = 1000
INTERVAL = (0.025, 0.975)
CHUNK = 100  # draws at once: (100, n) weights are small for any n


class Statistic(Protocol):
    """A metric of n examples as a function of their weights."""

    @property
    def n(self) -> int:
        """Examples."""

    @property
    def stretch(self) -> float | None:
        """None for the bootstrap (with replacement); else a jackknife without a fifth, and its scale factor."""

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """(B,) values, NaN if undefined, for weights (B, n) int; all ones give the metric itself."""


@dataclass(frozen=True)
class Sums:
    """A metric of sums over the examples: a mean, BLEU, NIST, METEOR.

    Attributes:
        rows: (n, s), contributions of each example to the s sums.
        value: maps sums (B, s) to (B,).
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
    """(B,) ratio of the two sums (B, 2), NaN if the second is 0."""
    return np.divide(sums[:, 0], sums[:, 1], out=np.full(len(sums), np.nan), where=sums[:, 1] > 0)


class Kinds:
    """A metric that counts distinct things in the examples: Distinct-n, USR, feature coverage.

    A bootstrap sample repeats examples, which add nothing distinct and would bias the metric downwards. So a random
    fifth of the examples is deleted, and the deviation is scaled to that of n new examples (the delete-d jackknife of
    Shao & Wu 1989).

    Args:
        things: of each example.
        total: divisor of the number of distinct things; None uses the number of all things.
    """

    def __init__(self, things: Sequence[Sequence[object]], total: int | None = None) -> None:
        numbers: dict[object, int] = {}
        self.kinds = np.array([numbers.setdefault(thing, len(numbers)) for part in things for thing in part], int)
        self.lengths = np.array([len(part) for part in things], int)
        self.owners = np.repeat(np.arange(len(things)), self.lengths)
        self.different, self.total = len(numbers), total
        self.stretch = stretch_of(len(things)) * (1.0 if total is None else len(things) / remaining(len(things)))

    @property
    def n(self) -> int:
        return len(self.lengths)

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        seen = np.zeros((len(weights), self.different), bool)
        for row, weight in zip(seen, weights, strict=True):
            row[self.kinds[weight[self.owners] > 0]] = True
        count = weights @ self.lengths if self.total is None else np.full(len(weights), self.total)
        return ratio(np.stack([seen.sum(1), count], axis=1).astype(float))


def remaining(n: int) -> int:
    """Number of examples left of n when a fifth is deleted."""
    return max(1, n - max(1, n // 5))


def stretch_of(n: int) -> float:
    """Factor that scales deviations of a mean of the remaining examples to those of a mean of n new ones.

    With a fixed divisor it is a sum, which needs another factor n / remaining.
    """
    return float(np.sqrt(remaining(n) / max(1, n - remaining(n))))


def draw_weights(n: int, draws: int, seed: int, leave_out: bool) -> Iterator[np.ndarray]:
    """Weights (at most 100, n) int, `draws` rows in total; deterministic, which pairs the systems."""
    random = np.random.default_rng([seed, n])
    for start in range(0, draws, CHUNK):
        size = min(CHUNK, draws - start)
        if leave_out:
            yield (random.random((size, n)).argsort(axis=1) < remaining(n)).astype(int)
        else:
            yield random.multinomial(n, np.full(n, 1 / n), size=size)


def whole(statistic: Statistic) -> float:
    """The metric on the original examples."""
    return float(statistic(np.ones((1, statistic.n), int))[0])


def replicates(statistic: Statistic, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """(draws,) values of the metric on resampled examples."""
    parts = draw_weights(statistic.n, draws, seed, statistic.stretch is not None)
    return np.concatenate([statistic(weights) for weights in parts])


def interval(statistic: Statistic, draws: int = DRAWS, seed: int = 0) -> tuple[float, float] | None:
    """95 % percentile interval; None for fewer than two examples or without a value.

    That of a `Kinds` is centred on the value instead of its replicates, because fewer examples have relatively more
    distinct things. It is a share, so it is clipped to 0 and 1.
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
    """One system's value minus another's on the same examples, its 95 % interval, and the two-sided p."""

    value: float
    low: float
    high: float
    p: float


class HasStatistic(Protocol):
    """An object with a statistic, such as a `Figure`."""

    @property
    def statistic(self) -> Statistic | None: ...


def paired_bootstrap(
    one: "Statistic | HasStatistic | np.ndarray",
    other: "Statistic | HasStatistic | np.ndarray",
    draws: int = DRAWS,
    seed: int = 0,
) -> Difference | None:
    """Test whether two systems differ, with the same resamples for both.

    Args:
        one: a metric's statistic or figure, or (n,) values, whose mean is compared (NaN: no value); of n examples.
        other: the same metric of another system, of the same examples in the same order.
        draws: number of resamples.
        seed: of the resamples.

    p is the share of draws whose difference is at least as far from the draws' mean as the observed one from 0, with
    one added to numerator and denominator, so that it is never 0. (sacrebleu's `--paired-bs` takes absolute values
    before their mean, so its p differs.)

    Returns:
        None for fewer than two examples, or if one system has no value.

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
