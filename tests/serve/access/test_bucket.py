"""The token bucket against an exact simulation, on a simulated clock."""

import random
from fractions import Fraction

import pytest

from serve_apps.access.bucket import TokenBucket


def literal(arrivals: list[Fraction], rate: Fraction, burst: int) -> list[bool]:
    """Granted or not, by counting tokens exactly from one arrival to the next."""
    level, before, granted = Fraction(burst), Fraction(0), []
    for at in arrivals:
        level, before = min(Fraction(burst), level + (at - before) * rate), at
        granted.append(level >= 1)
        level -= granted[-1]
    return granted


@pytest.mark.parametrize("seed", range(8))
def test_it_grants_what_an_exact_count_grants(seed: int) -> None:
    rng = random.Random(seed)
    rate, burst = Fraction(rng.choice([1, 2, 4, 8]), rng.choice([1, 2, 16])), rng.randint(1, 20)
    steps = [Fraction(rng.choice([0, 0, 1, 3, 64]), 64) for _ in range(400)]  # of 2, so that floats are exact too
    arrivals = [sum(steps[: number + 1], Fraction(0)) for number in range(len(steps))]
    bucket = TokenBucket(float(rate), burst)
    granted = [bucket.take(float(at)) == 0 for at in arrivals]
    assert granted == literal(arrivals, rate, burst)
    for first in range(0, 400, 7):  # in no window more than the burst and what came in meanwhile
        for last in range(first, 400, 11):
            window = (arrivals[last] - arrivals[first]) * rate + burst
            assert sum(granted[first : last + 1]) <= window


@pytest.mark.parametrize("seed", range(5))
def test_who_waits_as_told_is_served_and_who_comes_sooner_is_not(seed: int) -> None:
    rng = random.Random(seed)
    bucket, now = TokenBucket(rng.uniform(0.1, 9), rng.randint(1, 5)), 0.0
    for _ in range(200):
        wait = bucket.take(now)
        if wait:
            assert bucket.take(now + 0.9 * wait) > 0
            assert bucket.take(now + wait + 1e-9) == 0
            now += wait + 1e-9
        now += rng.uniform(0, 0.3)


def test_a_clock_that_goes_back_brings_nothing() -> None:
    bucket = TokenBucket(1, 1)
    assert bucket.take(10) == 0
    assert bucket.take(5) == 1 and bucket.take(10.5) == 0.5


def test_new_numbers_forgive_nothing() -> None:
    bucket = TokenBucket(1, 4)
    for _ in range(4):
        bucket.take(0)
    assert bucket.resized(2, 8, 0).take(0) == 0.5
