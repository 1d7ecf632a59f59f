"""Search spaces: for each option its path in the config, its domain, and the paper's value."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import numpy as np

from showcases.errors import ConfigError

Value = float | int | str
Point = dict[str, Value]
Config = TypeVar("Config")


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both among them; on a log scale where factors count."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ConfigError(f"range [{self.low}, {self.high}]: the first must be the lower{' and > 0' * self.log}")

    def draw(self, rng: np.random.Generator) -> Value:
        """One of them."""
        return self._at(rng.uniform())

    def steps(self, count: int) -> list[Value]:
        """At most `count` of them, evenly spread, both ends among them."""
        return list(dict.fromkeys(self._at(x) for x in np.linspace(0.0, 1.0, count)))

    def position(self, value: Value) -> float:
        """Where a value lies: 0 at the lower end, 1 at the upper one."""
        low, high, here = (np.log(x) if self.log else float(x) for x in (self.low, self.high, float(value)))
        return float((here - low) / (high - low))

    def nearest(self, value: float) -> Value:
        """The value of the range that is nearest."""
        inside = min(max(value, self.low), self.high)
        return round(inside) if self.whole else float(inside)

    def _at(self, x: float) -> Value:
        span = self.low * (self.high / self.low) ** x if self.log else self.low + x * (self.high - self.low)
        return self.nearest(span)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high


@dataclass(frozen=True)
class Choice:
    """A few values that have no order."""

    values: tuple[Value, ...]

    def draw(self, rng: np.random.Generator) -> Value:
        """One of them."""
        return self.values[int(rng.integers(len(self.values)))]

    def steps(self, count: int) -> list[Value]:
        """All of them, whatever `count`."""
        return list(self.values)

    def position(self, value: Value) -> float:
        """Where a value lies: 0 for the first, 1 for the last."""
        return self.values.index(value) / max(1, len(self.values) - 1)

    def __contains__(self, value: object) -> bool:
        return value in self.values


@dataclass(frozen=True)
class Option:
    """One option that a sweep may vary.

    Args:
        path: of its field under the step's section, with dots.
        domain: its values, unless the user narrows it.
        paper: the paper's value; None if the paper has no such option; then the config's is used.
        shape: it decides the weights' shapes or meaning, so that it can't change while a model trains.
    """

    path: str
    domain: Range | Choice
    paper: Value | None = None
    shape: bool = False

    def holding(self, value: Value) -> "Option":
        """The option with this value among its choices; a range stays as it is."""
        if isinstance(self.domain, Range) or value in self.domain:
            return self
        return replace(self, domain=Choice((value, *self.domain.values)))


WIDTHS = "x"  # between the widths of layers, e.g. 512x256

# alpha, tau, delta, sigma and the learning rate act by their order of magnitude: factors count
GENERATOR: dict[str, Option] = {
    "lambda_image": Option("contrastive.lambda_image", Range(0.0, 0.6), 0.2),
    "lambda_text": Option("contrastive.lambda_text", Range(0.0, 0.6), 0.2),
    "alpha": Option("contrastive.alpha", Range(1.05, 10.0, log=True), float(np.e)),
    "tau": Option("contrastive.tau", Range(0.02, 0.5, log=True), 0.1),
    "learning_rate": Option("loop.lr", Range(1e-4, 1e-2, log=True), 1e-4),
    "mma_layers": Option("model.mma_layers", Range(1, 6, whole=True), 3, shape=True),
}
SELECTOR: dict[str, Option] = {
    "kernel": Option("model.kernel", Choice(("deep", "rbf")), shape=True),
    "delta": Option("model.delta", Range(1e-4, 1e-1, log=True)),
    "alpha": Option("model.alpha", Range(0.1, 1.0)),
    "sigma": Option("model.sigma", Range(0.1, 2.0, log=True)),
    "hidden_dims": Option(
        "model.hidden_dims", Choice(("512x512x256", "512x256", "256x256", "256", "128")), "512x512x256", shape=True
    ),
    "out_dim": Option("model.out_dim", Choice((32, 64, 128, 256)), 128, shape=True),
    "learning_rate": Option("loop.lr", Range(1e-4, 1e-2, log=True), 1e-3),
}


def chosen(options: Mapping[str, Option], search: Sequence[str] | Mapping[str, Any]) -> dict[str, Option]:
    """The options that are searched, each with its range or the user's.

    Args:
        search: names, or values by name: [lowest, highest] of a number, a list of a choice's, none for the default.

    Raises:
        ConfigError: there is no such option, or its values mean nothing.
    """
    unknown = [name for name in search if name not in options]
    if unknown or not search:
        raise ConfigError(f"search: {unknown or 'nothing'} can't be searched; choose from {', '.join(options)}")
    values = search if isinstance(search, Mapping) else dict.fromkeys(search)
    return {name: _narrowed(name, options[name], given) for name, given in values.items()}


def _narrowed(name: str, option: Option, given: Any) -> Option:
    if given is None:
        return option
    if isinstance(option.domain, Range):
        if not isinstance(given, list) or len(given) != 2 or not all(isinstance(each, int | float) for each in given):
            raise ConfigError(f"search.{name} is {given!r}; give [lowest, highest]")
        return replace(option, domain=replace(option.domain, low=given[0], high=given[1]))
    strange = [each for each in given if each not in option.domain] if isinstance(given, list) else [given]
    if strange or not given:
        raise ConfigError(f"search.{name} has {strange or 'nothing'}; choose from {list(option.domain.values)}")
    return replace(option, domain=Choice(tuple(given)))


def paper_point(options: Mapping[str, Option], config: Any) -> Point:
    """The paper's value of each option; where it has none, that of the step's config."""
    own = own_point(options, config)
    return {name: own[name] if option.paper is None else option.paper for name, option in options.items()}


def own_point(options: Mapping[str, Option], config: Any) -> Point:
    """Path of the step's config."""
    values = {}
    for name, option in options.items():
        value = config
        for part in option.path.split("."):
            value = getattr(value, part)
        values[name] = WIDTHS.join(map(str, value)) if isinstance(value, tuple) else value
    return values


def at_point(options: Mapping[str, Option], config: Config, point: Mapping[str, Value]) -> Config:
    """The step's config with its options at a point.

    Raises:
        ConfigError: the config takes no such value.
    """
    for name, value in point.items():
        path = options[name].path.split(".")
        widths = path[-1] == "hidden_dims"
        config = _replaced(config, path, tuple(map(int, str(value).split(WIDTHS))) if widths else value)
    return config


def _replaced(config: Any, path: Sequence[str], value: Any) -> Any:
    inner = _replaced(getattr(config, path[0]), path[1:], value) if len(path) > 1 else value
    return replace(config, **{path[0]: inner})


def plain(value: Any) -> Any:
    """A config as YAML has it: lists for tuples."""
    if hasattr(value, "__dataclass_fields__"):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value
