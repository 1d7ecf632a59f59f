"""Options of annotation and distillation (paper section 3.3)."""

from dataclasses import dataclass, field
from typing import Literal

from showcases.training import LoopConfig

CHANCE_CAUSES = (  # of a classifier that is no better than chance, likeliest first
    "distill.features concat, which can't tell whether photo and sentence agree (interaction can); a CLIP that tells "
    "nothing apart (train_clip's figures); labels of another corpus, or too few of them; distill.loop.lr or epochs"
)


@dataclass(frozen=True)
class AnnotateConfig:
    """Which pairs are annotated, and how answers become labels.

    Args:
        reviews: sampled for annotation (paper: 1,000 reviews, 9,930 pairs).
        aggregate: several answers to one label: majority leaves ties out; dawid-skene weighs each annotator's answers
            by how careful the annotator seems to be, and settles ties.
        weak_below: with labels of fewer pairs than this, further pairs of the sampled reviews get weak labels by CLIP
            similarity, beyond two thresholds that are calibrated on the labels; 0 for never.
        weak_precision: share of those weak labels, 0 to 1, that people would agree with, on each side.
    """

    reviews: int = 1000
    aggregate: Literal["majority", "dawid-skene"] = "majority"
    weak_below: int = 0
    weak_precision: float = 0.9


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
