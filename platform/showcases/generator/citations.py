"""Citations: the photos that a sentence describes, by the classifier Φ; removal of unsupported sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np


@dataclass(frozen=True)
class Citation:
    """Φ's result for one sentence.

    Attributes:
        photos: indices of the photos that it describes, best first; ties in display order.
        score: highest probability over all photos, 0 to 1; 0 if there is no photo.
    """

    photos: list[int]
    score: float

    @property
    def supported(self) -> bool:
        """Whether any photo supports the sentence."""
        return bool(self.photos)


def cite(scores: np.ndarray, threshold: float) -> list[Citation]:
    """Compute a citation for each sentence.

    Args:
        scores: (m, n) probabilities of m sentences with n photos, `PairClassifier.score_all`.
        threshold: Φ's decision threshold; a pair matches from here on.
    """
    citations = []
    for row in np.asarray(scores, np.float64):  # float32 scores would be compared with a rounded threshold
        best_first = np.argsort(-row, kind="stable").tolist()
        described = [number for number in best_first if row[number] >= threshold]
        citations.append(Citation(described, float(row.max(initial=0.0))))
    return citations


class Cited(Protocol):
    """Any sentence type with its citation's score."""

    @property
    def score(self) -> float: ...

    @property
    def supported(self) -> bool: ...


Sentence = TypeVar("Sentence", bound=Cited)


def keep_supported(sentences: Sequence[Sentence]) -> tuple[list[Sentence], int]:
    """Drop the sentences that no photo supports.

    A text never becomes empty: if no sentence is supported, the first one with the highest score stays.

    Returns:
        The remaining sentences, in order, and the number of dropped ones.
    """
    supported = [sentence for sentence in sentences if sentence.supported]
    if not supported and sentences:
        supported = [max(sentences, key=lambda sentence: sentence.score)]
    return supported, len(sentences) - len(supported)
