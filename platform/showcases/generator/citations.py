"""Which photos a sentence describes by the classifier Φ, and what is left of a text where only that may stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np


@dataclass(frozen=True)
class Citation:
    """What Φ says of one sentence.

    Attributes:
        photos: numbers of the photos that it describes, best first; of equals the one shown first.
        score: highest probability over all photos, 0 to 1; 0 where there is no photo.
    """

    photos: list[int]
    score: float

    @property
    def supported(self) -> bool:
        """Whether any photo shows what the sentence says."""
        return bool(self.photos)


def cite(scores: np.ndarray, threshold: float) -> list[Citation]:
    """A citation for each sentence.

    Args:
        scores: (m, n) probabilities of m sentences with n photos, `PairClassifier.score_all`.
        threshold: Φ's own: from here on a pair counts as matching.
    """
    citations = []
    for row in np.asarray(scores, np.float64):  # a float32 would be compared with a rounded threshold
        best_first = np.argsort(-row, kind="stable").tolist()
        described = [number for number in best_first if row[number] >= threshold]
        citations.append(Citation(described, float(row.max(initial=0.0))))
    return citations


class Cited(Protocol):
    """A sentence of any form that carries its citation's figures."""

    @property
    def score(self) -> float: ...

    @property
    def supported(self) -> bool: ...


Sentence = TypeVar("Sentence", bound=Cited)


def keep_supported(sentences: Sequence[Sentence]) -> tuple[list[Sentence], int]:
    """Leave out the sentences that no photo supports.

    A text never ends up empty: if no sentence is supported, the first of those with the highest score stays.

    Returns:
        What is left, in order, and how many were left out.
    """
    kept = [sentence for sentence in sentences if sentence.supported]
    if not kept and sentences:
        kept = [max(sentences, key=lambda sentence: sentence.score)]
    return kept, len(sentences) - len(kept)
