"""Merge a tenant's uploads into published rows.

Published photos take precedence over uploaded ones with the same id, so a published photo never changes for anybody.
An uploaded review replaces the published one of the same user and id, for that tenant only.
"""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from showcases.catalog.summary import SAMPLE_PHOTOS, SNIPPET_LENGTH

KEYS = {"photos": ["photo_id"], "reviews": ["user_id", "review_id"]}  # primary key columns


def merged(published: pa.Table, uploads: pa.Table, name: str) -> pa.Table:
    """The published rows that no upload replaces, then all uploads.

    Args:
        published, uploads: tables of the same columns, including KEYS[name].
        name: photos or reviews.
    """
    if not uploads.num_rows:
        return published
    shown = pa.array([not hides for hides in _hidden(published, uploads, name)], pa.bool_())
    return pa.concat_tables([published.filter(shown), uploads])


def hidden(published: pa.Table, uploads: pa.Table) -> int:
    """Number of published reviews that an upload replaces."""
    return sum(_hidden(published, uploads, "reviews"))


def _hidden(published: pa.Table, uploads: pa.Table, name: str) -> list[bool]:
    ours, theirs = (zip(*(table[key].to_pylist() for key in KEYS[name]), strict=True) for table in (uploads, published))
    mine = set(ours)
    return [row in mine for row in theirs]


def summed(summary: dict[str, Any], photos: pa.Table, reviews: pa.Table) -> dict[str, Any]:
    """Add a tenant's uploads to a summary; they fill its rating, snippet and photos only where it has none.

    Args:
        summary: columns of BUSINESSES or USERS; its counts exclude rows that uploads replace.
        photos: uploads; column photo_id.
        reviews: uploads; columns text and rating.
    """
    texts = sorted(filter(None, reviews["text"].to_pylist()), key=lambda text: abs(len(text) - SNIPPET_LENGTH))
    counted = {
        "photos": summary["photos"] + photos.num_rows,
        "reviews": summary["reviews"] + reviews.num_rows,
        "snippet": summary["snippet"] or next(iter(texts), ""),
        "photo_ids": summary["photo_ids"] or photos["photo_id"].to_pylist()[:SAMPLE_PHOTOS],
    }
    if summary.get("rating", 0) is None:
        counted["rating"] = pc.mean(reviews["rating"]).as_py()
    return summary | counted
