"""Alignment of sentences and photos: CLIP-Align by the classifier Φ, CLIP-Score by cosine (paper section 5.1)."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from showcases.metrics.text import Figure, mean_figure


class PairScorer(Protocol):
    """Scores all pairs of sentences and photos, as Φ does (`distillation.PairClassifier`).

    Attributes:
        threshold: minimum score of a matching pair.
        embedding_space: EmbeddingTable.model_id of the vectors that it scores.
    """

    threshold: float
    embedding_space: str

    def score_all(self, sentences: np.ndarray, photos: np.ndarray) -> np.ndarray:
        """(m, n) scores in [0, 1] of m sentences (m, d) with n photos (n, d)."""
        ...


Scores = Callable[[np.ndarray, np.ndarray], np.ndarray]  # sentences (m, d), photos (n, d) -> (m, n)


def cosines(sentences: np.ndarray, photos: np.ndarray) -> np.ndarray:
    """(m, n) cosines of m unit vectors with n."""
    return sentences @ photos.T


def alignment(sentences: Sequence[np.ndarray], photos: Sequence[np.ndarray], scores: Scores) -> np.ndarray:
    """For each example (1/n) sum_i max_j cs_ji: mean over photos of the score of the best sentence.

    Args:
        sentences: of each example (m, d) unit rows; with m = 0 no photo is described, which scores 0.
        photos: of each example (n, d) unit rows.
        scores: cs, e.g. a classifier's `score_all`, or `cosines`.

    Returns:
        (B,), NaN for an example without photos.

    Source: paper section 4.4.
    """
    values = np.full(len(sentences), np.nan)
    for row, (text, image) in enumerate(zip(sentences, photos, strict=True)):
        if len(image):
            values[row] = scores(text, image).max(axis=0).mean() if len(text) else 0.0
    return values


def clip_align(sentences: Sequence[np.ndarray], photos: Sequence[np.ndarray], classifier: PairScorer) -> np.ndarray:
    """CLIP-Align of each example, 0 to 1: `alignment` by the classifier Φ; arguments and result as there."""
    return alignment(sentences, photos, classifier.score_all)


def clip_score(sentences: Sequence[np.ndarray], photos: Sequence[np.ndarray]) -> np.ndarray:
    """CLIP-Score of each example, -1 to 1: `alignment` by cosine; arguments and result as there."""
    return alignment(sentences, photos, cosines)


def alignment_figures(
    sentences: Sequence[np.ndarray], photos: Sequence[np.ndarray], classifier: PairScorer
) -> dict[str, Figure]:
    """CLIP-Align (0 to 1) and CLIP-Score (-1 to 1), means over the examples that have photos."""
    figures = {}
    for name, values, by in (
        ("CLIP-Align", clip_align(sentences, photos, classifier), "showcases classifier"),
        ("CLIP-Score", clip_score(sentences, photos), "cosine"),
    ):
        figures[name] = mean_figure(
            values, f"{by} in {classifier.embedding_space}", "spaCy sentencizer", "n/a (no photos)"
        )
    return figures
