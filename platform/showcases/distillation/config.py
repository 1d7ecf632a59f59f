"""Options of annotation and distillation (paper section 3.3)."""

from dataclasses import dataclass, field
from typing import Literal

from showcases.training import LoopConfig


@dataclass(frozen=True)
class AnnotateConfig:
    """Which pairs are annotated.

    Args:
        reviews: sampled for annotation (paper: 1,000 reviews, 9,930 pairs).
    """

    reviews: int = 1000


@dataclass(frozen=True)
class DistillConfig:
    """The classifier of (photo, sentence) pairs.

    Args:
        features: concat is CLIP(photo) and CLIP(sentence) side by side, as the paper says; a single layer on them is
            additive and cannot tell whether the two agree. interaction adds their elementwise product.
        loop: training.
    """

    features: Literal["concat", "interaction"] = "interaction"
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(epochs=30, batch_size=256, lr=1e-2, optimizer="adamw"))
