"""Histograms of the corpus: lengths, photos, reviews, ratings, photo status, reject reasons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from showcases.gest.building.ragged import flatten
from showcases.gest.building.statistics import words_per_text

WORD_EDGES = tuple(range(0, 201, 10))
REVIEW_PHOTO_EDGES = tuple(range(11))
BUSINESS_PHOTO_EDGES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
USER_REVIEW_EDGES = (1, 2, 3, 4, 5, 10, 20, 50, 100)


@dataclass(frozen=True)
class Histogram:
    """Count per label, in display order; `counted` names the unit."""

    name: str
    title: str
    counted: str
    bars: tuple[tuple[str, int], ...]

    @property
    def total(self) -> int:
        return sum(count for _, count in self.bars)

    @property
    def highest(self) -> int:
        return max((count for _, count in self.bars), default=0)


def binned(values: np.ndarray, edges: Sequence[int]) -> tuple[tuple[str, int], ...]:
    """Counts of integers in [edge, next edge), the last bin open-ended; empty bins at both ends are dropped.

    Args:
        values: (n,), none below the first edge.
    """
    counts = np.bincount(np.searchsorted(edges, values, side="right") - 1, minlength=len(edges))[: len(edges)]
    ends = [*(edge - 1 for edge in edges[1:]), None]
    labels = [
        f"{low} or more" if high is None else f"{low}" if low == high else f"{low}–{high}"
        for low, high in zip(edges, ends, strict=True)
    ]
    filled = np.flatnonzero(counts)
    shown = slice(filled.min(initial=len(edges)), filled.max(initial=-1) + 1)
    return tuple(zip(labels[shown], counts[shown].tolist(), strict=True))


def value_counts(column: pa.ChunkedArray, missing: str = "none") -> tuple[tuple[str, int], ...]:
    """Each value with its count, most frequent first; null is labelled `missing`."""
    pairs = [(row["values"], row["counts"]) for row in pc.value_counts(column).to_pylist()]
    named = [(missing if value is None else str(value), count) for value, count in pairs]
    return tuple(sorted(named, key=lambda pair: (-pair[1], pair[0])))


def of_reviews(reviews: pa.Table, languages: Mapping[str, int]) -> list[Histogram]:
    """Histograms of the reviews.

    Args:
        reviews: columns user_id, business_id, rating, text, photo_ids.
        languages: reviews by language.
    """
    photos = flatten(reviews["photo_ids"])[1]
    businesses = reviews["business_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    per_business = np.bincount(businesses, weights=photos).astype(np.int64)
    per_user = np.asarray(pc.struct_field(pc.value_counts(reviews["user_id"]), "counts"))
    ratings = tuple(sorted(value_counts(reviews["rating"])))
    return [
        Histogram("words", "Words per review", "reviews", binned(words_per_text(reviews["text"]), WORD_EDGES)),
        Histogram("languages", "Languages of the reviews", "reviews", tuple(languages.items())),
        Histogram("ratings", "Ratings", "reviews", ratings),
        Histogram("photos_per_review", "Photos per review", "reviews", binned(photos, REVIEW_PHOTO_EDGES)),
        Histogram(
            "photos_per_business",
            "Photos per business",
            "businesses with a photo",
            binned(per_business[per_business > 0], BUSINESS_PHOTO_EDGES),
        ),
        Histogram("reviews_per_user", "Reviews per user", "users", binned(per_user, USER_REVIEW_EDGES)),
    ]
