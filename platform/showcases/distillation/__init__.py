"""Which sentence describes which photo: annotations, the classifier Φ, its scores over the corpus."""

from showcases.distillation.classifier import PairClassifier
from showcases.distillation.scoring import PairScorer

__all__ = ["PairClassifier", "PairScorer"]
