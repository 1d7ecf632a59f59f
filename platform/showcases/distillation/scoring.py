"""Φ over every (sentence, photo) pair of each review, one partition at a time; pairs are stored as row numbers."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from showcases.distillation.classifier import PairClassifier
from showcases.gest.building.matched import split_ids
from showcases.gest.building.ragged import flatten, owners, places, spans
from showcases.storage.embeddings import matrix, require_one_space
from showcases.storage.schemas import ALIGNMENTS

PAIRS = 8192  # scored at a time: 0.1 GiB at d = 512


@dataclass(frozen=True)
class PairRows:
    """k pairs as row numbers (k,) of their tables, ordered by review and sentence."""

    review: np.ndarray
    sentence: np.ndarray
    photo: np.ndarray

    def __len__(self) -> int:
        return len(self.review)


def find_pairs(reviews: pa.Table, sentence_ids: pa.ChunkedArray, photo_ids: pa.ChunkedArray) -> PairRows:
    """Find every (sentence, photo) pair of each review among the given sentences and photos.

    Args:
        reviews: columns review_id, photo_ids.
        sentence_ids: `<review_id>:<number>`, in any order.
        photo_ids: in any order.
    """
    said, sentences = _sentences(reviews["review_id"], sentence_ids)
    shown, photos = _photos(reviews, photo_ids)
    counts = np.bincount(shown, minlength=reviews.num_rows)
    starts = np.cumsum(counts) - counts
    repeats = counts[said]  # photos per sentence
    met = photos[spans(starts[said], repeats)]
    return PairRows(np.repeat(said, repeats), np.repeat(sentences, repeats), met)


def _sentences(review_ids: pa.ChunkedArray, sentence_ids: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Row of its review (m,), sorted, and row in `sentence_ids` (m,) of the sentences whose review is included."""
    names, number = split_ids(sentence_ids)
    review = places(names, review_ids)
    order = np.lexsort((number, review))
    order = order[review[order] >= 0]
    return review[order], order


def _photos(reviews: pa.Table, photo_ids: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Row of its review (n,), sorted, and row in `photo_ids` (n,) of the reviews' photos, each once per review."""
    shown, lengths = flatten(reviews["photo_ids"])
    review, photo = owners(lengths), places(shown, photo_ids)
    distinct = np.unique(review * (len(photo_ids) + 1) + photo, return_index=True)[1]
    first = np.sort(distinct)  # in the review's order
    first = first[photo[first] >= 0]
    return review[first], photo[first]


class PairScorer:
    """Scores all pairs of a partition.

    Args:
        folder: of the classifier.
        embedding_space: `EmbeddingTable.model_id` of the vectors.

    Raises:
        ModelError: the classifier was trained in another embedding space.
    """

    def __init__(self, folder: Path | str, embedding_space: str) -> None:
        self.classifier = PairClassifier.from_pretrained(folder)
        spaces = {str(folder): self.classifier.embedding_space, "the vectors": embedding_space}
        require_one_space(spaces, "run jobs.distill again")

    def __call__(self, reviews: pa.Table, sentences: pa.Table, photos: pa.Table) -> pa.Table:
        """Reviews (review_id, photo_ids) and vectors (id, vector) in; `alignments` out, one row per pair."""
        pairs = find_pairs(reviews, sentences["id"], photos["id"])
        text, image = matrix(sentences["vector"]), matrix(photos["vector"])
        scores = np.empty(len(pairs), np.float32)
        for start in range(0, len(pairs), PAIRS):
            part = slice(start, start + PAIRS)
            scores[part] = self.classifier.score(text[pairs.sentence[part]], image[pairs.photo[part]])
        columns = [
            reviews["review_id"].take(pa.array(pairs.review)),
            sentences["id"].take(pa.array(pairs.sentence)),
            photos["id"].take(pa.array(pairs.photo)),
            pa.array(scores),
        ]
        return pa.table(columns, schema=ALIGNMENTS)
