"""Import the published GEST-s2: `gest_s2` with its official splits, and the reviews and photos that it references."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from showcases.gest.building.digests import DigestSet, digest_ids
from showcases.gest.building.splits import SPLITS
from showcases.gest.reading.blocks import bad_photos
from showcases.gest.reading.filtered import FilteredRow, read_filtered
from showcases.gest.reading.lines import RAW_BYTES
from showcases.gest.reading.past_reviews import PastReview, resolve
from showcases.gest.reading.records import SHOWN
from showcases.gest.reading.rejects import Reason, Reject
from showcases.gest.reading.sentences import split_sentences
from showcases.storage.schemas import GEST_S2, PHOTOS, REVIEWS

ROWS = 5000  # per shard
Tables = dict[str, pa.Table]  # by artifact


@dataclass
class S2Import:
    """Reads the files three times: the rows' ids, the rows, then the past reviews that are not rows themselves.

    Attributes:
        rows: number of rows by split.
        rejects: unusable rows, duplicates, and unusable parts of other rows.
        row_ids: digests of the rows' review ids.
    """

    files: Sequence[str]  # from `find_files`
    rows: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    rejects: list[Reject] = field(default_factory=list)
    row_ids: DigestSet = field(default_factory=DigestSet)
    reviews: DigestSet = field(default_factory=DigestSet)
    photos: DigestSet = field(default_factory=DigestSet)
    users: dict[str, DigestSet] = field(default_factory=lambda: {name: DigestSet() for name, _ in SPLITS})

    def tables(self) -> Iterator[Tables]:
        """Shards of `gest_s2`, `reviews` and `photos`; first the rows', then those of past reviews only.

        Raises:
            CorpusError: a file is missing or not in this format.
        """
        for rows in _batches(read_filtered(self.files, reject=lambda _: None)):
            self.row_ids.add(digest_ids(row.record.review_id for row in rows))
        for rows in _batches(read_filtered(self.files, self.rejects.append)):
            yield self._of_rows(self._unseen(rows))
        for rows in _batches(read_filtered(self.files, reject=lambda _: None)):
            yield {"reviews": self._of_history(rows)}

    def figures(self) -> dict[str, int]:
        """Statistics of the file; all of these rows are in `gest_s2`."""
        sets = [users.values() for users in self.users.values()]
        shared = sum(len(np.intersect1d(a, b)) for i, a in enumerate(sets) for b in sets[:i])
        return {**self.counts, "users_in_two_splits": shared, "photos": len(self.photos), "reviews": len(self.reviews)}

    def _unseen(self, rows: Sequence[FilteredRow]) -> list[FilteredRow]:
        """The rows that are not duplicates."""
        fresh = self.reviews.add(digest_ids(row.record.review_id for row in rows))
        detail = "duplicate of an earlier row of this user and business"
        self.rejects += [
            Reject(row.number, row.offset, Reason.DUPLICATE_REVIEW, detail, row.raw[:RAW_BYTES], row.file)
            for row, new in zip(rows, fresh, strict=True)
            if not new
        ]
        return [row for row, new in zip(rows, fresh, strict=True) if new]

    def _of_rows(self, rows: Sequence[FilteredRow]) -> Tables:
        past = [self._past(row) for row in rows]
        self._count(rows, past)
        pics = [(row, name, url) for row in rows for name, url in row.record.pics]
        fresh = self.photos.add(digest_ids(name for _, name, _ in pics))
        self.counts["photos_of_an_earlier_row"] += int((~fresh).sum())
        photos = [
            {"photo_id": name, "url": url, **_ids(row)}
            for (row, name, url), new in zip(pics, fresh, strict=True)
            if new
        ]
        is_new = iter(fresh.tolist())
        reviews = [
            {**_ids(row), "rating": row.record.rating, "text": row.record.text, "split": row.split}
            | {"photo_ids": [name for name, _ in row.record.pics if next(is_new)]}
            for row in rows
        ]
        s2 = [
            {**_ids(row), "explanation": row.record.text, "split": row.split}
            | {"photo_ids": [name for name, _ in row.record.pics], "history_review_ids": _ids_of(row, reviews)}
            for row, reviews in zip(rows, past, strict=True)
        ]
        return {
            "gest_s2": pa.Table.from_pylist(s2, schema=GEST_S2),
            "reviews": _reviews(reviews),
            "photos": pa.Table.from_pylist(photos, schema=PHOTOS),
        }

    def _of_history(self, rows: Sequence[FilteredRow]) -> pa.Table:
        """Reviews that occur only as past reviews; they have a text, but no rating and no photo."""
        named = [
            (row, past, text) for row in rows for past, (_, text) in zip(self._past(row), row.history, strict=True)
        ]
        fresh = self.reviews.add(digest_ids(past.review_id for _, past, _ in named))
        found: list[dict[str, Any]] = []
        for (row, past, text), new in zip(named, fresh, strict=True):
            if new:
                ids = {"review_id": past.review_id, "user_id": past.user_id, "business_id": past.business_id}
                found.append({**ids, "rating": None, "text": text, "split": row.split, "photo_ids": []})
        return _reviews(found)

    def _past(self, row: FilteredRow) -> list[PastReview]:
        """The reviews in the row's history."""
        return [resolve(name, row.record.user_id, self._is_row) for name, _ in row.history]

    def _is_row(self, name: str) -> bool:
        return bool(self.row_ids.contains(digest_ids([name]))[0])

    def _count(self, rows: Sequence[FilteredRow], past: Sequence[Sequence[PastReview]]) -> None:
        for row, reviews in zip(rows, past, strict=True):
            self.rows[row.split] += 1
            self.counts["empty_explanations"] += not row.record.text.strip()
            self.counts["rows_without_photos"] += not row.record.pics
            review_id, user = row.record.review_id, row.record.user_id
            self.counts["own_review_in_history"] += any(review.review_id == review_id for review in reviews)
            self.counts["history_of_another_user"] += sum(review.user_id != user for review in reviews)
            self.counts["ambiguous_history"] += sum(review.is_ambiguous for review in reviews)
            self.counts["unusable_photos"] += len(row.record.bad_pics)
            self.counts["unusable_history"] += len(row.bad_history)
            self.rejects += _doubts(row, reviews)
        for split, users in self.users.items():
            users.add(digest_ids(row.record.user_id for row in rows if row.split == split))


def _batches(rows: Iterable[FilteredRow]) -> Iterator[list[FilteredRow]]:
    source = iter(rows)
    while batch := list(islice(source, ROWS)):
        yield batch


def _ids(row: FilteredRow) -> dict[str, str]:
    record = row.record
    return {"review_id": record.review_id, "user_id": record.user_id, "business_id": record.business_id}


def _ids_of(row: FilteredRow, past: Iterable[PastReview]) -> list[str]:
    """Unique ids of past reviews, without the row's own, which would leak the target."""
    found = dict.fromkeys(review.review_id for review in past)
    return [name for name in found if name != row.record.review_id]


def _doubts(row: FilteredRow, past: Sequence[PastReview]) -> Iterator[Reject]:
    """Unusable and ambiguous parts of a row."""
    unsure = [name for review, (name, _) in zip(past, row.history, strict=True) if review.is_ambiguous]
    several = "is ambiguous between several users and businesses; using the first match"
    for reason, problems in (
        (Reason.UNUSABLE_PHOTO, [bad_photos(row.record)] if row.record.bad_pics else []),
        (Reason.UNUSABLE_HISTORY, row.bad_history),
        (Reason.AMBIGUOUS_HISTORY, [f"{name[:SHOWN]} {several}" for name in unsure]),
    ):
        if problems:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            yield Reject(row.number, row.offset, reason, problems[0] + more, row.raw[:RAW_BYTES], row.file)


def _reviews(rows: list[dict[str, Any]]) -> pa.Table:
    sentences = split_sentences((row["text"] for row in rows), forget=True)
    whole = [{**row, "sentences": parts} for row, parts in zip(rows, sentences, strict=True)]
    return pa.Table.from_pylist(whole, schema=REVIEWS)
