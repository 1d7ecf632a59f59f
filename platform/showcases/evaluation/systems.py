"""What each system wrote for the same examples, and all figures of Table 2 on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from showcases.distillation import PairClassifier
from showcases.embeddings import EmbeddingTable
from showcases.evaluation.alignment import alignment_figures
from showcases.evaluation.examples import Example
from showcases.evaluation.text_metrics import Figure, MeteorScorer, own_figures, text_figures

GROUND_TRUTH = "ground truth"
System = tuple[str, int]  # variant of the generator, seed; the ground truth is (GROUND_TRUTH, 0)


@dataclass(frozen=True)
class Written:
    """What one system wrote for each example: texts, their sentences, the sentences' vectors (m, d)."""

    texts: list[str]
    sentences: list[list[str]]
    vectors: list[np.ndarray]


def stack_vectors(sentences: Sequence[Sequence[str]], vectors: Mapping[str, np.ndarray], dim: int) -> list[np.ndarray]:
    """For each example the vectors (m, dim) of its sentences; m may be 0."""
    none = np.zeros((0, dim), np.float32)
    return [np.stack([vectors[text] for text in part]) if part else none for part in sentences]


def first_seeds(written: Mapping[System, Written]) -> dict[str, Written]:
    """What the first seed of each variant wrote, in the order given; without the ground truth."""
    first: dict[str, Written] = {}
    for (variant, _), said in written.items():
        if variant != GROUND_TRUTH:
            first.setdefault(variant, said)
    return first


def measure(
    examples: Sequence[Example],
    written: Mapping[System, Written],
    images: EmbeddingTable,
    classifier: PairClassifier,
    meteor: MeteorScorer,
) -> dict[System, dict[str, Figure]]:
    """All figures of Table 2; generated texts against the photos shown, the ground truth against the user's own."""
    truth = written[GROUND_TRUTH, 0]
    own = [images.vectors[images.rows(example.own_photos)].astype(np.float32) for example in examples]
    shown = [images.gather(example.shown) for example in examples]
    systems: dict[System, dict[str, Figure]] = {}
    for system, said in written.items():
        if said is truth:
            figures = own_figures(said.texts) | alignment_figures(said.vectors, own, classifier)
        else:
            figures = text_figures(said.texts, truth.texts, meteor)
            figures |= alignment_figures(said.vectors, shown, classifier)
        systems[system] = figures
    return systems
