"""Leaks: data that is in two splits. Each is an error: a model would be tested on its training data."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from showcases.gest.building.ragged import flatten, owners
from showcases.gest.inspection.near import SHORT, Likeness

EXAMPLES = 3
NO_SPLIT = "(no split)"


@dataclass(frozen=True)
class Leak:
    """Result of one check for data in two splits.

    Attributes:
        where: the artifact.
        what: kind of data, e.g. user or photo id.
        count: how many of them are in two splits.
        rows: affected rows by split (for photos: occurrences).
        examples: a few, for display.
        error: whether it is an error, or only informational.
    """

    where: str
    what: str
    count: int
    rows: dict[str, int]
    examples: tuple[str, ...] = ()
    error: bool = True

    @property
    def failed(self) -> bool:
        return self.error and self.count > 0

    @property
    def sign(self) -> str:
        """The verdict as a label."""
        return "ERROR" if self.failed else "ok" if not self.count else "no error"

    @property
    def shown_rows(self) -> str:
        """As in `train 3, test 1`."""
        return ", ".join(f"{split} {count:,}" for split, count in self.rows.items() if count) or "–"


@dataclass(frozen=True)
class Splits:
    """The split of each of n rows as one bit; `names` of the bits."""

    names: tuple[str, ...]
    bits: np.ndarray

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> "Splits":
        coded = pc.fill_null(column, NO_SPLIT).combine_chunks().dictionary_encode()
        return cls(tuple(coded.dictionary.to_pylist()), np.int64(1) << coded.indices.to_numpy().astype(np.int64))

    def masks(self, keys: np.ndarray, count: int) -> np.ndarray:
        """(count,) union of the bits of all rows with each key (n,)."""
        result = np.zeros(count, np.int64)
        np.bitwise_or.at(result, keys, self.bits)
        return result

    def count(self, rows: np.ndarray) -> dict[str, int]:
        """Number of selected rows (n,) bool per split."""
        return {name: int(np.sum(rows & (self.bits == 1 << bit))) for bit, name in enumerate(self.names)}

    def named(self, mask: int) -> str:
        """The splits of a mask, e.g. `test + train`."""
        return " + ".join(sorted(name for bit, name in enumerate(self.names) if mask >> bit & 1))


@dataclass(frozen=True)
class Contents:
    """Content of the fetched photos.

    Attributes:
        photo_ids: (n,).
        content: (n,) content hash, or that of the original of a duplicate, or the original's id.
    """

    photo_ids: pa.Array
    content: pa.Array

    @classmethod
    def from_images(cls, images: pa.Table) -> "Contents":
        """From columns photo_id, content_hash, same_as."""
        whole = images.combine_chunks()
        names, hashes, same = (whole[name].combine_chunks() for name in ("photo_id", "content_hash", "same_as"))
        holder = pc.coalesce(same, names)
        return cls(names, pc.coalesce(hashes, hashes.take(pc.index_in(holder, value_set=names)), holder))

    def of(self, photo_ids: pa.Array) -> pa.Array:
        """Content of these photos; the id itself for unknown photos."""
        return pc.coalesce(self.content.take(pc.index_in(photo_ids, value_set=self.photo_ids)), photo_ids)


def key_leak(
    where: str, what: str, keys: pa.Array | pa.ChunkedArray, splits: Splits, shown: pa.Array | None = None
) -> Leak:
    """Keys (n,), such as users, that occur in two splits.

    Args:
        shown: (n,) what examples show in place of a row's key.
    """
    whole = keys.combine_chunks() if isinstance(keys, pa.ChunkedArray) else keys
    coded = whole.dictionary_encode()
    code = coded.indices.to_numpy().astype(np.int64)
    bad = _several(splits.masks(code, len(coded.dictionary)))
    examples = []
    for key in np.flatnonzero(bad)[:EXAMPLES]:
        rows = np.flatnonzero(code == key)
        firsts = rows[np.unique(splits.bits[rows], return_index=True)[1]]
        names = whole if shown is None else shown
        named = (f"{splits.named(int(splits.bits[row]))} {names[int(row)].as_py()}" for row in firsts)
        examples.append(" | ".join(named))
    return Leak(where, what, int(bad.sum()), splits.count(bad[code]), tuple(examples))


def photo_leaks(where: str, photo_ids: pa.ChunkedArray, splits: Splits, contents: Contents | None) -> list[Leak]:
    """Photos that occur in two splits: by id, and by content under another id."""
    ids, lengths = flatten(photo_ids)
    per_photo = Splits(splits.names, splits.bits[owners(lengths)])
    found = [key_leak(where, "photo id", ids, per_photo)]
    if contents is not None:
        fresh = ~_in_several(ids, per_photo)  # ids in two splits are reported above
        others = ids.filter(pa.array(fresh))
        per_other = Splits(splits.names, per_photo.bits[fresh])
        found.append(key_leak(where, "photo content under another id", contents.of(others), per_other, others))
    return found


def _in_several(ids: pa.Array, splits: Splits) -> np.ndarray:
    """(n,) bool, True for the ids that are in two splits."""
    coded = ids.dictionary_encode()
    code = coded.indices.to_numpy().astype(np.int64)
    return _several(splits.masks(code, len(coded.dictionary)))[code]


def text_leaks(
    where: str, likeness: Likeness, splits: Splits, ids: pa.ChunkedArray, texts: pa.ChunkedArray
) -> list[Leak]:
    """Identical or near-duplicate texts in two splits; for short texts informational, not an error.

    Args:
        likeness: of the n texts; its pairs may include other texts.
        ids: (n,) of the reviews.
        texts: (n,) to show.
    """
    masks = splits.masks(likeness.group, likeness.groups)
    near = masks.copy()
    low, high = likeness.pairs.T
    np.bitwise_or.at(near, low, masks[high])
    np.bitwise_or.at(near, high, masks[low])
    found = []
    for what, chosen, error in (
        (f"text, same or nearly, of {SHORT} words or more", likeness.long, True),
        (f"the same text of 1 to {SHORT - 1} words", ~likeness.long & (likeness.words > 0), False),
    ):
        rows = chosen & (near[likeness.group] & ~splits.bits != 0)
        examples = _twins(likeness, splits, np.flatnonzero(rows), ids, texts)
        found.append(Leak(where, what, len(np.unique(likeness.group[rows])), splits.count(rows), examples, error))
    return found


def _twins(
    likeness: Likeness, splits: Splits, rows: np.ndarray, ids: pa.ChunkedArray, texts: pa.ChunkedArray
) -> tuple[str, ...]:
    """The first of these rows, each with a matching row of another split."""
    examples: list[str] = []
    seen: set[int] = set()
    for row in rows.tolist():
        group = int(likeness.group[row])
        if len(examples) == EXAMPLES or group in seen:
            continue
        beside = likeness.pairs[(likeness.pairs == group).any(axis=1)]
        alike = np.isin(likeness.group, np.append(beside, group)) & (splits.bits != splits.bits[row])
        pair = (row, int(np.flatnonzero(alike)[0]))
        seen |= {group, int(likeness.group[pair[1]])}
        shown = (f"{splits.named(int(splits.bits[at]))} {ids[at].as_py()}: {_shown(texts[at].as_py())}" for at in pair)
        examples.append(" | ".join(shown))
    return tuple(examples)


def _shown(text: str | None) -> str:
    plain = " ".join((text or "").split())
    return f"“{plain}”" if len(plain) <= 90 else f"“{plain[:89]}…”"


def _several(masks: np.ndarray) -> np.ndarray:
    return masks & (masks - 1) != 0
