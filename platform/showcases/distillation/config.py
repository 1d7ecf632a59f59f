"""Options of annotation and distillation (paper section 3.3)."""

from dataclasses import dataclass, field
from typing import Literal

from showcases.training import LoopConfig

CHANCE_CAUSES = (  # why a classifier may be no better than chance, most likely first
    "distill.features concat, which can't model whether photo and sentence agree (interaction can); a CLIP that does "
    "not discriminate (train_clip's figures); labels of another corpus, or too few of them; distill.loop.lr or epochs"
)


@dataclass(frozen=True)
class AnnotateConfig:
    """Which pairs are annotated, and how answers are aggregated.

    Args:
        reviews: sampled for annotation (paper: 1,000 reviews, 9,930 pairs).
        aggregate: aggregation of several answers: majority drops ties; dawid-skene weighs answers by the annotators'
            estimated reliability, and decides ties.
        weak_below: with labels of fewer pairs than this, further pairs of the sampled reviews get weak labels by CLIP
            similarity, beyond two thresholds calibrated on the labels; 0 disables this.
        weak_precision: required precision of those weak labels, 0 to 1, on each side.
    """

    reviews: int = 1000
    aggregate: Literal["majority", "dawid-skene"] = "majority"
    weak_below: int = 0
    weak_precision: float = 0.9


@dataclass(frozen=True)
class DistillConfig:
    """The classifier of (photo, sentence) pairs.

    Args:
        features: concat is [CLIP(photo); CLIP(sentence)], as in the paper; a single layer on it is additive and cannot
            model whether the two agree. interaction adds their elementwise product.
        loop: training.
    """

    features: Literal["concat", "interaction"] = "interaction"
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(epochs=30, batch_size=256, lr=1e-2, optimizer="adamw"))
