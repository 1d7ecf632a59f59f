"""The systems' texts for the same examples, and all figures of Table 2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from showcases.distillation import PairClassifier
from showcases.evaluation.examples import Example
from showcases.metrics.alignment import alignment_figures
from showcases.metrics.bert_score import NO_MODEL, BertScorer
from showcases.metrics.bootstrap import DRAWS
from showcases.metrics.coverage import (
    ContentWords,
    Keywords,
    all_parts,
    faithfulness,
    feature_coverage,
    keyword_coverage,
    unique_sentences,
)
from showcases.metrics.meteor import MeteorScorer, text_figures
from showcases.metrics.text import Figure, own_figures, with_interval
from showcases.storage.embeddings import EmbeddingTable

GROUND_TRUTH = "ground truth"
System = tuple[str, int]  # variant of the generator, seed; the ground truth is (GROUND_TRUTH, 0)


@dataclass(frozen=True)
class Written:
    """One system's output for each example: texts, their sentences, the sentences' vectors (m, d)."""

    texts: list[str]
    sentences: list[list[str]]
    vectors: list[np.ndarray]


@dataclass(frozen=True)
class Yardsticks:
    """Resources for computing the text metrics.

    Attributes:
        meteor: in its `with` block.
        features: of the corpus, see `feature_coverage`.
        keywords: of Figure 6b.
        bert: None if no model is configured.
        draws: of the bootstrap; 0 disables the intervals.
        seed: of these draws.
    """

    classifier: PairClassifier
    meteor: MeteorScorer
    features: Sequence[str] = ()
    keywords: Keywords = field(default_factory=ContentWords)
    bert: BertScorer | None = None
    draws: int = DRAWS
    seed: int = 0


def stack_vectors(sentences: Sequence[Sequence[str]], vectors: Mapping[str, np.ndarray], dim: int) -> list[np.ndarray]:
    """For each example the vectors (m, dim) of its sentences; m may be 0."""
    none = np.zeros((0, dim), np.float32)
    return [np.stack([vectors[text] for text in part]) if part else none for part in sentences]


def first_seeds(written: Mapping[System, Written]) -> dict[str, Written]:
    """Texts by the first seed of each variant, in the given order; without the ground truth."""
    first: dict[str, Written] = {}
    for (variant, _), said in written.items():
        if variant != GROUND_TRUTH:
            first.setdefault(variant, said)
    return first


def measure(
    examples: Sequence[Example], written: Mapping[System, Written], images: EmbeddingTable, by: Yardsticks
) -> dict[System, dict[str, Figure]]:
    """Compute all text metrics; generated texts against the photos shown, the ground truth against the user's."""
    truth = written[GROUND_TRUTH, 0]
    own = [images.vectors[images.rows(example.own_photos)].astype(np.float32) for example in examples]
    shown = [images.gather(example.shown) for example in examples]
    keys = all_parts(by.keywords(truth.texts))
    systems: dict[System, dict[str, Figure]] = {}
    for system, said in written.items():
        figures = alone(said, own if said is truth else shown, by)
        if said is not truth:
            figures |= text_figures(said.texts, truth.texts, by.meteor)
            figures["keyword coverage"] = keyword_coverage(said.texts, keys, by.keywords.name)
            figures["BERTScore"] = by.bert(said.texts, truth.texts) if by.bert else NO_MODEL
        systems[system] = {name: with_interval(figure, by.draws, by.seed) for name, figure in figures.items()}
    return systems


def alone(said: Written, photos: Sequence[np.ndarray], by: Yardsticks) -> dict[str, Figure]:
    """The metrics without reference texts; photos (n, d) are those that each text is compared with."""
    return {
        **own_figures(said.texts),
        **alignment_figures(said.vectors, photos, by.classifier),
        "USR": unique_sentences(said.sentences),
        "feature coverage": feature_coverage(said.texts, by.features),
        "faithfulness": faithfulness(said.vectors, photos, by.classifier),
    }
