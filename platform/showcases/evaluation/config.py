"""Options of the evaluation."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class EvaluateConfig:
    """What is evaluated.

    Args:
        protocol: paper keeps the user's own photos of the business in the pool; deployment takes them away.
        k: photos selected (Precision@k, Recall@k, F1@k, Div@k).
        max_examples: test examples that explanations are written for.
        gallery: test users shown in the report.
        batch_size: explanations written at once.
    """

    protocol: Literal["paper", "deployment"] = "paper"
    k: int = 3
    max_examples: int = 300
    gallery: int = 12
    batch_size: int = 64


@dataclass(frozen=True)
class ReproduceConfig:
    """Which of the paper's studies are run again.

    Args:
        tables: of the paper; 3: user profiles, 4: contrastive losses, 5: initialisations.
        seeds: every row is trained once for each.
    """

    tables: tuple[Literal[3, 4, 5], ...] = (3, 4, 5)
    seeds: tuple[int, ...] = (0, 1, 2)
