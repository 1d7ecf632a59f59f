"""Published rows and a tenant's own as one.

A photo's id names one photo of a tenant: the published one where there is one, so what is published never changes for
anybody. A review's id names one review of its user; a tenant's own review replaces the published one, for that tenant.
"""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from showcases.catalog.summary import SAMPLE_PHOTOS, SNIPPET_LENGTH

KEYS = {"photos": ["photo_id"], "reviews": ["user_id", "review_id"]}  # columns that name a row


def merged(published: pa.Table, own: pa.Table, name: str) -> pa.Table:
    """All own rows, after the published ones that none of them replaces.

    Args:
        published, own: the same columns, those of KEYS[name] among them.
        name: photos or reviews.
    """
    if not own.num_rows:
        return published
    shown = pa.array([not hides for hides in _hidden(published, own, name)], pa.bool_())
    return pa.concat_tables([published.filter(shown), own])


def hidden(published: pa.Table, own: pa.Table) -> int:
    """How many published reviews an own one replaces."""
    return sum(_hidden(published, own, "reviews"))


def _hidden(published: pa.Table, own: pa.Table, name: str) -> list[bool]:
    ours, theirs = (zip(*(table[key].to_pylist() for key in KEYS[name]), strict=True) for table in (own, published))
    mine = set(ours)
    return [row in mine for row in theirs]


def summed(summary: dict[str, Any], photos: pa.Table, reviews: pa.Table) -> dict[str, Any]:
    """A summary with a tenant's own rows counted in; what it shows comes from them only where it showed nothing.

    Args:
        summary: columns of BUSINESSES or USERS; its counts leave out the rows that own ones hide.
        photos: photo_id.
        reviews: text, rating.
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
