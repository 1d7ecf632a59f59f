"""Return types of the catalog: plain values and matrices, independent of LanceDB."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Photo:
    """One photo with its JPEG; width and height in px; `own` if the tenant uploaded it."""

    photo_id: str
    business_id: str
    bytes: bytes
    width: int
    height: int
    own: bool = False


@dataclass(frozen=True)
class PhotoRows:
    """n photos without their bytes.

    Attributes:
        ids: n photo ids.
        business_ids: n.
        vectors: (n, d) float32, unit rows.
    """

    ids: list[str]
    business_ids: list[str]
    vectors: np.ndarray

    def elsewhere(self, *business_ids: str) -> "PhotoRows":
        """Those of other businesses."""
        keep = _other(self.business_ids, business_ids)
        return PhotoRows(_pick(self.ids, keep), _pick(self.business_ids, keep), self.vectors[keep])


@dataclass(frozen=True)
class ReviewRows:
    """n reviews.

    Attributes:
        ids: n review ids.
        business_ids: n.
        texts: n, as written.
        ratings: n, 1 to 5 or None.
        vectors: (n, d) float32: unit rows, zeros where the review has no feature.
        embedded: (n,) bool, whether the review has a feature.
    """

    ids: list[str]
    business_ids: list[str]
    texts: list[str]
    ratings: list[float | None]
    vectors: np.ndarray
    embedded: np.ndarray

    @property
    def features(self) -> np.ndarray:
        """(m, d) float32, m <= n: features of the reviews that have one."""
        return self.vectors[self.embedded]

    def elsewhere(self, *business_ids: str) -> "ReviewRows":
        """Those of other businesses."""
        keep = _other(self.business_ids, business_ids)
        return ReviewRows(
            _pick(self.ids, keep),
            _pick(self.business_ids, keep),
            _pick(self.texts, keep),
            _pick(self.ratings, keep),
            self.vectors[keep],
            self.embedded[keep],
        )


@dataclass(frozen=True)
class BusinessSummary:
    """A business in a listing: counts, mean rating, a snippet of a review and a few photos."""

    business_id: str
    photos: int
    reviews: int
    rating: float | None
    snippet: str
    photo_ids: list[str]


@dataclass(frozen=True)
class UserSummary:
    """A user in a listing: counts, a snippet of a review and a few photos."""

    user_id: str
    photos: int
    reviews: int
    snippet: str
    photo_ids: list[str]


def matrix(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """A column of fixed-size lists as (n, d) float32 with zeros for nulls, and its (n,) bool validity mask."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # a column without rows has no chunk to combine
        array = pa.array([], column.type)
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    vectors = np.zeros((len(array), column.type.list_size), np.float32)
    values = array.drop_null().flatten().to_numpy(zero_copy_only=False)
    vectors[valid] = values.reshape(-1, column.type.list_size)
    return vectors, valid


def in_order(table: pa.Table, ids: Sequence[str]) -> pa.Table:
    """Rows of a table by photo_id, in the order of `ids`; unknown ids are skipped."""
    place = {name: row for row, name in enumerate(table["photo_id"].to_pylist())}
    return table.take(pa.array([place[name] for name in dict.fromkeys(ids) if name in place], pa.int64()))


def photo_rows(table: pa.Table) -> PhotoRows:
    """From the columns photo_id, business_id and vector."""
    return PhotoRows(table["photo_id"].to_pylist(), table["business_id"].to_pylist(), matrix(table["vector"])[0])


def review_rows(table: pa.Table) -> ReviewRows:
    """From the columns of the table `reviews`."""
    vectors, embedded = matrix(table["feature"])
    return ReviewRows(
        ids=table["review_id"].to_pylist(),
        business_ids=table["business_id"].to_pylist(),
        texts=table["text"].to_pylist(),
        ratings=table["rating"].to_pylist(),
        vectors=vectors,
        embedded=embedded,
    )


def _other(business_ids: list[str], left_aside: tuple[str, ...]) -> np.ndarray:
    return np.array([name not in left_aside for name in business_ids], dtype=bool)


def _pick(values: list, keep: np.ndarray) -> list:
    return [value for value, is_kept in zip(values, keep, strict=True) if is_kept]
