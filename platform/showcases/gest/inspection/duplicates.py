"""Duplicate texts, photos and ids within one artifact. Informational; an error only across splits (`leaks`)."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from showcases.gest.building.ragged import flatten
from showcases.gest.inspection.leaks import Contents
from showcases.gest.inspection.near import JACCARD, SHORT, Likeness


@dataclass(frozen=True)
class Duplicates:
    """One kind of duplicates: number of repeated `things`, described by `what`, and of `rows` that have them."""

    where: str
    what: str
    things: int
    rows: int


def of_texts(where: str, likeness: Likeness, users: pa.ChunkedArray) -> list[Duplicates]:
    """Identical texts by one user and by several, short ones separately; near-duplicate texts.

    Args:
        users: (n,) author of each.
    """
    user = users.combine_chunks().dictionary_encode().indices.to_numpy().astype(np.int64)
    groups, width = likeness.groups, int(user.max(initial=0)) + 1
    texts = np.bincount(likeness.group, minlength=groups)
    writers = np.bincount(np.unique(likeness.group * width + user) // width, minlength=groups)
    long = np.bincount(likeness.group[likeness.long], minlength=groups) > 0
    blank = np.bincount(likeness.group[likeness.words == 0], minlength=groups) > 0
    near = np.zeros(groups, bool)
    near[likeness.pairs] = True
    kinds = (
        (f"the same text of {SHORT} words or more, by one user", (texts > 1) & long & (writers == 1)),
        (f"the same text of {SHORT} words or more, by several users", long & (writers > 1)),
        (f"the same text of 1 to {SHORT - 1} words", (texts > 1) & ~long & ~blank),
        ("texts without a word", blank),
        (f"nearly the same texts (Jaccard of word 3-shingles ≥ {JACCARD})", near),
    )
    return [Duplicates(where, what, int(found.sum()), int(texts[found].sum())) for what, found in kinds]


def of_photo_ids(where: str, photo_ids: pa.ChunkedArray) -> Duplicates:
    """Photo ids that occur more than once, in one row or in several."""
    counts = np.asarray(pc.struct_field(pc.value_counts(flatten(photo_ids)[0]), "counts"))
    return Duplicates(where, "photo ids named more than once", int(np.sum(counts > 1)), int(counts[counts > 1].sum()))


def of_contents(contents: Contents, photos: pa.Table | None) -> list[Duplicates]:
    """Byte-identical photos under several ids; separately those of several users, if `photos` is given.

    Args:
        photos: columns photo_id, user_id.
    """
    coded = contents.content.dictionary_encode()
    code = coded.indices.to_numpy().astype(np.int64)
    sizes = np.bincount(code, minlength=len(coded.dictionary))
    found = [Duplicates("images", "byte-identical photos", int(np.sum(sizes > 1)), int(sizes[sizes > 1].sum()))]
    if photos is None:
        return found
    owner = photos["user_id"].combine_chunks().take(pc.index_in(contents.photo_ids, value_set=photos["photo_id"]))
    user = pc.fill_null(owner, "").dictionary_encode().indices.to_numpy().astype(np.int64)
    width = int(user.max(initial=0)) + 1
    owners = np.bincount(np.unique(code * width + user) // width, minlength=len(sizes))
    several = owners > 1
    what = "byte-identical photos of several users"
    return [*found, Duplicates("images", what, int(several.sum()), int(sizes[several].sum()))]
