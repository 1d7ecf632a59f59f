"""The test examples of Table 2: user, business, ground truth, and the generator's input."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from showcases.errors import ConfigError
from showcases.storage.embeddings import EmbeddingTable


@dataclass(frozen=True)
class Example:
    """A test user at a business.

    Attributes:
        explanation: the ground truth, the sentences of the user's own review that its photos match.
        own_photos: of that review.
        shown: photos that the selector chose, in the order of choice.
        history: ids of the user's other reviews.
    """

    review_id: str
    user_id: str
    business_id: str
    explanation: str
    own_photos: list[str]
    shown: list[str]
    history: list[str]

    @classmethod
    def of(cls, row: Mapping[str, Any], shown: list[str]) -> "Example":
        """Create an example from a row of GEST-s2 and the photos shown."""
        return cls(
            review_id=row["review_id"],
            user_id=row["user_id"],
            business_id=row["business_id"],
            explanation=row["explanation"],
            own_photos=list(row["photo_ids"]),
            shown=shown,
            history=list(row["history_review_ids"]),
        )


def draw_examples(
    rows: Iterable[Mapping[str, Any]], chosen: Mapping[str, list[str]], most: int, seed: int
) -> list[Example]:
    """Draw at most `most` rows of GEST-s2's test split by seed; in table order.

    Args:
        rows: of schema GEST_S2.
        chosen: photo ids by review id, from a `Ranked`; rows without a chosen photo are skipped.

    Raises:
        ConfigError: there is none.
    """
    found = [row for row in rows if row["split"] == "test" and row["explanation"] and chosen.get(row["review_id"])]
    if not found:
        raise ConfigError("gest_s2 has no test example with photos; is the corpus large enough?")
    order = np.random.default_rng([seed, 2]).permutation(len(found))[:most]
    return [Example.of(row, chosen[row["review_id"]]) for row in (found[i] for i in sorted(order))]


def with_own_photos(examples: Iterable[Example], most: int) -> list[Example]:
    """The same examples, with the first `most` photos of the user's own review as `shown`."""
    return [replace(example, shown=example.own_photos[:most]) for example in examples]


def generator_rows(
    examples: Sequence[Example], images: EmbeddingTable, features: Mapping[str, np.ndarray], most_reviews: int
) -> list[dict[str, Any]]:
    """Input of a GeneratorPredictor, one row per example, all of one shape.

    Args:
        images: of the photos shown.
        features: (d,) of past reviews by id (`review_features`).
        most_reviews: maximum past reviews per row.
    """
    photos = [images.gather(example.shown) for example in examples]
    reviews = [[features[name] for name in example.history if name in features][:most_reviews] for example in examples]
    i, r = max(len(part) for part in photos), max(1, *(len(part) for part in reviews))
    dim = images.dim
    return [
        {
            "number": number,
            "images": _padded(image, i, dim),
            "n_images": len(image),
            "reviews": _padded(review, r, dim),
            "n_reviews": len(review),
        }
        for number, (image, review) in enumerate(zip(photos, reviews, strict=True))
    ]


def with_references(
    rows: Sequence[Mapping[str, Any]],
    examples: Sequence[Example],
    references: Sequence[Sequence[str]],
    features: Mapping[str, np.ndarray],
    most_reviews: int,
    dim: int,
) -> list[dict[str, Any]]:
    """The rows of `generator_rows` with the additional input of a BaselinePredictor.

    Args:
        references: for each example ids of reviews of its business, none of them its user's.
        features: (d,) of those by id.
        most_reviews: maximum references per row.
        dim: d.
    """
    known = [[features[name] for name in names if name in features][:most_reviews] for names in references]
    size = max(1, *(len(part) for part in known))
    return [
        {
            **row,
            "user_id": example.user_id,
            "business_id": example.business_id,
            "item_reviews": _padded(part, size, dim),
            "n_item_reviews": len(part),
        }
        for row, example, part in zip(rows, examples, known, strict=True)
    ]


def _padded(vectors: Sequence[np.ndarray] | np.ndarray, size: int, dim: int) -> np.ndarray:
    """(size, dim) float32, zeros after the vectors."""
    padded = np.zeros((size, dim), np.float32)
    if len(vectors):
        padded[: len(vectors)] = vectors
    return padded
