"""Options of the human evaluation."""

from dataclasses import dataclass

from showcases.errors import ConfigError


@dataclass(frozen=True)
class StudyConfig:
    """How a study is sampled and assigned.

    Args:
        count: test examples, each with a text of every model (paper: 500).
        judges: people who rate (paper: 3).
        per_item: judges per text.
        checks: attention checks, as a share of a judge's texts; 0 disables them.
        seed: of the sample, the assignment, the order and the tokens.
        photo_side: px; the shorter side of a photo.
    """

    count: int = 500
    judges: int = 3
    per_item: int = 3
    checks: float = 0.05
    seed: int = 0
    photo_side: int = 260

    def __post_init__(self) -> None:
        for name in ("count", "judges", "per_item", "photo_side"):
            if getattr(self, name) < 1:
                raise ConfigError(f"--{name} is {getattr(self, name)}; it must be at least 1")
        if self.per_item > self.judges:
            raise ConfigError(
                f"--per_item is {self.per_item}, but there are {self.judges} judges; nobody rates a text twice"
            )
        if not 0 <= self.checks <= 0.5:
            raise ConfigError(f"--checks is {self.checks}; it is a share of a judge's texts, from 0 to 0.5")
