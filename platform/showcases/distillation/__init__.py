"""Distillation: annotations of (sentence, photo) pairs, the classifier Φ, its scores over the corpus."""

from typing import TYPE_CHECKING

from showcases._lazy import on_first_use

if TYPE_CHECKING:
    from showcases.distillation.classifier import PairClassifier
    from showcases.distillation.scoring import PairScorer

__all__ = ["PairClassifier", "PairScorer"]

__getattr__ = on_first_use(__name__, {"PairClassifier": "classifier", "PairScorer": "scoring"})
