"""Options of the evaluation."""

from dataclasses import dataclass
from typing import Literal

from showcases.errors import ConfigError

MAX_THETA = 10.0  # q is at most e^4, and the kernel's q^(2 theta) must be a float32


@dataclass(frozen=True)
class EvaluateConfig:
    """Options of jobs.evaluate.

    Args:
        protocol: `paper` includes the user's own photos of the business in the candidates; `deployment` excludes them.
        k: photos selected (Precision@k, Recall@k, F1@k, Div@k).
        max_examples: test examples that explanations are written for.
        gallery: test users shown in the report.
        batch_size: explanations written at once.
        bootstrap: draws for each 95 % interval and p; 0 disables the intervals.
        spacy_model: pipeline that tags nouns, adjectives and adverbs for the keyword coverage (a name or a folder);
            None uses content words.
        bertscore_model: encoder of BERTScore (a folder or a name on the hub); None disables it.
        bertscore_layer: layer whose vectors are matched; None uses the last.
        thetas: of the quality/diversity dial's curve, each 0 to 10; the served theta is added. None draws no curve.
    """

    protocol: Literal["paper", "deployment"] = "paper"
    k: int = 3
    max_examples: int = 300
    gallery: int = 12
    batch_size: int = 64
    bootstrap: int = 1000
    spacy_model: str | None = None
    bertscore_model: str | None = None
    bertscore_layer: int | None = None
    thetas: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)

    def __post_init__(self) -> None:
        if self.bootstrap < 0:
            raise ConfigError(f"evaluate.bootstrap is {self.bootstrap}; it must be at least 0")
        wrong = [theta for theta in self.thetas if not 0 <= theta <= MAX_THETA]
        if wrong:
            raise ConfigError(f"evaluate.thetas has {wrong}; each must lie from 0 to {MAX_THETA:g}")


@dataclass(frozen=True)
class ReproduceConfig:
    """Which of the paper's studies to reproduce.

    Args:
        tables: of the paper; 1: the corpus, 2: baselines, 3: user profiles, 4: contrastive losses, 5: initialisations.
        figures: of the paper; 3: visual diversities, 6: lengths and keyword coverage with and without PC²L.
        seeds: every row is trained once per seed.
    """

    tables: tuple[Literal[1, 2, 3, 4, 5], ...] = (1, 2, 3, 4, 5)
    figures: tuple[Literal[3, 6], ...] = (3, 6)
    seeds: tuple[int, ...] = (0, 1, 2)
