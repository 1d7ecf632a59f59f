"""Φ over every (sentence, photo) pair of every review: rows name what to pair, vectors are gathered where they lie."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from showcases.distillation.annotations import ReviewPairs
from showcases.distillation.classifier import PairClassifier
from showcases.embeddings import EmbeddingTable
from showcases.errors import ModelError

PAIRS = pa.schema(
    [
        ("review_id", pa.string()),
        ("sentence_ids", pa.list_(pa.string())),
        ("sentence_rows", pa.list_(pa.int64())),
        ("photo_ids", pa.list_(pa.string())),
        ("photo_rows", pa.list_(pa.int64())),
    ]
)


def pairs_table(reviews: Iterable[ReviewPairs], sentences: EmbeddingTable, photos: EmbeddingTable) -> pa.Table:
    """One row a review: ids and row numbers (in the two tables) of its sentences and photos.

    The pairs themselves come to be in the scorer, so nothing of quadratic size travels.
    """
    columns: dict[str, list[object]] = {name: [] for name in PAIRS.names}
    for review in reviews:
        sentence_ids = [f"{review.review_id}:{number}" for number in review.sentences]
        columns["review_id"].append(review.review_id)
        columns["sentence_ids"].append(sentence_ids)
        columns["sentence_rows"].append(sentences.rows(sentence_ids))
        columns["photo_ids"].append(list(review.photo_ids))
        columns["photo_rows"].append(photos.rows(review.photo_ids))
    return pa.table(columns, schema=PAIRS)


class PairScorer:
    """Scores all pairs of a batch of reviews; fits Ray Data's map_batches.

    Args:
        folder: of the classifier.
        sentences: (n, d) vectors that `sentence_rows` points into; float16 is fine, shared memory too.
        photos: (m, d) vectors that `photo_rows` points into.
        embedding_space: their `EmbeddingTable.model_id`.

    Raises:
        ModelError: the classifier was trained in another embedding space.
    """

    def __init__(self, folder: Path | str, sentences: np.ndarray, photos: np.ndarray, embedding_space: str) -> None:
        self.classifier = PairClassifier.from_pretrained(folder)
        self.sentences, self.photos = sentences, photos
        if self.classifier.embedding_space != embedding_space:
            raise ModelError(
                f"{folder}: trained on embeddings of {self.classifier.embedding_space}, given those of "
                f"{embedding_space}; run jobs.distill again"
            )

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Rows of `pairs_table` in, one row a pair out: review_id, sentence_id, photo_id, score (float32)."""
        per_review = zip(*(batch[name] for name in PAIRS.names), strict=True)
        rows = [self._index(*review) for review in per_review]
        review_ids, sentence_ids, text_rows, photo_ids, image_rows = (
            np.concatenate(part) for part in zip(*rows, strict=True)
        )
        return {
            "review_id": review_ids,
            "sentence_id": sentence_ids,
            "photo_id": photo_ids,
            "score": self.classifier.score(self.sentences[text_rows], self.photos[image_rows]),
        }

    @staticmethod
    def _index(
        review_id: str, sentence_ids: np.ndarray, text_rows: np.ndarray, photo_ids: np.ndarray, image_rows: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """The pairs of one review, sentence by sentence, as five columns."""
        m, n = len(sentence_ids), len(photo_ids)
        return (
            np.full(m * n, review_id, object),
            np.repeat(np.asarray(sentence_ids, object), n),
            np.repeat(np.asarray(text_rows, np.int64), n),
            np.tile(np.asarray(photo_ids, object), m),
            np.tile(np.asarray(image_rows, np.int64), m),
        )
