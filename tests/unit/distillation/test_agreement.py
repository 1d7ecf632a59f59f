"""Krippendorff's alpha against arithmetic worked out here, and against its published example."""

import itertools
import random

import pytest

from showcases.distillation.agreement import krippendorff_alpha


def literal_alpha(units):
    """1 - observed / expected, over all ordered pairs of values, as Krippendorff writes it."""
    units = [votes for votes in units if len(votes) >= 2]
    values = [vote for votes in units for vote in votes]
    observed = sum((a != b) / (len(votes) - 1) for votes in units for a, b in itertools.permutations(votes, 2)) / len(
        values
    )
    pairs = list(itertools.permutations(values, 2))
    return 1 - observed / (sum(a != b for a, b in pairs) / len(pairs))


def test_worked_by_hand() -> None:
    # Four pairs: 11, 10, 00, 111. n = 9 votes, 6 ones, 3 zeros. Observed: only 10 differs, 2 ordered pairs / 1 = 2.
    # Expected: 2 * 6 * 3 / 8 = 4.5. alpha = 1 - 2 / 4.5 = 5/9.
    assert krippendorff_alpha([(1, 1), (1, 0), (0, 0), (1, 1, 1)]) == pytest.approx(5 / 9)


def test_krippendorffs_own_binary_example() -> None:
    # Krippendorff 2011, section A: two observers, ten units, alpha = 0.095.
    first = (0, 1, 0, 0, 0, 0, 0, 0, 1, 0)
    second = (1, 1, 1, 0, 0, 1, 0, 0, 0, 0)
    assert krippendorff_alpha(list(zip(first, second, strict=True))) == pytest.approx(0.095, abs=5e-4)


def test_equals_the_literal_definition_with_missing_votes() -> None:
    rng = random.Random(1)
    for _ in range(20):
        units = [[int(rng.random() < 0.4) for _ in range(rng.randint(0, 5))] for _ in range(12)]
        assert krippendorff_alpha(units) == pytest.approx(literal_alpha(units))


def test_one_vote_says_nothing() -> None:
    with_single = [(1, 1), (0, 0), (1, 0), (1,), ()]
    assert krippendorff_alpha(with_single) == krippendorff_alpha(with_single[:3])


def test_undefined_where_nothing_varies_or_nobody_votes_twice() -> None:
    assert krippendorff_alpha([(1, 1), (1, 1, 1)]) is None
    assert krippendorff_alpha([(1,), (0,)]) is None
