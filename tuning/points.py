"""Points that are settled before a sweep starts: a grid's, random ones, a population's; the paper's is the first."""

import itertools
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from showcases.errors import ConfigError
from tuning.spaces import Option, Point, Range

LARGEST_GRID = 10_000  # points; more is a slip


def grid(options: Mapping[str, Option], paper: Point, steps: int) -> list[Point]:
    """The paper's point, then all combinations of `steps` values of each range and of every choice.

    Raises:
        ConfigError: that is too many.
    """
    values = [option.domain.steps(steps) for option in options.values()]
    count = int(np.prod([len(each) for each in values], dtype=np.int64))
    if count > LARGEST_GRID:
        raise ConfigError(f"a grid of {steps} steps has {count} points: search fewer options or lower grid_steps")
    points = [dict(zip(options, combination, strict=True)) for combination in itertools.product(*values)]
    return [paper, *(point for point in points if point != paper)]


def drawn(options: Mapping[str, Option], paper: Point, count: int, seed: int) -> list[Point]:
    """The paper's point, then random ones: `count` in all, the same for the same seed."""
    rng = np.random.default_rng(seed)
    return [paper] + [
        {name: option.domain.draw(rng) for name, option in options.items()} for _ in range(max(0, count - 1))
    ]


def mutations(options: Mapping[str, Option], seed: int) -> dict[str, Any]:
    """What Population Based Training resamples from, by option.

    Raises:
        ConfigError: an option can't change while a model trains.
    """
    fixed = [name for name, option in options.items() if option.shape or not isinstance(option.domain, Range)]
    if fixed:
        raise ConfigError(f"scheduler pbt changes options of models as they train, which {fixed} can't; leave them out")
    rng = np.random.default_rng([seed, 1])
    return {name: partial(option.domain.draw, rng) for name, option in options.items()}


def back_inside(options: Mapping[str, Option], point: Point) -> Point:
    """A point that was moved by factors, back in the ranges."""
    inside = {}
    for name, value in point.items():
        domain = options[name].domain
        assert isinstance(domain, Range)
        inside[name] = domain.nearest(float(value))
    return inside
