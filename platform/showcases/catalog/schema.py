"""Schemas of the catalog's tables.

Requests read `photos` and `reviews`; `businesses` and `users` are small summaries for listings, computed once when the
catalog is written.
"""

import hashlib

import pyarrow as pa

EMBEDDING_SPACE = "embedding_space"  # metadata of every table: EmbeddingTable.model_id of the vectors
INDEXED = {
    "photos": ("photo_id", "business_id", "user_id"),
    "reviews": ("review_id", "user_id", "business_id"),
    "businesses": ("business_id",),
    "users": ("user_id",),
}
LIVE_GROUP = {"live_photos": "business_id", "live_reviews": "user_id"}  # group that one PUT replaces, by table
LIVE_INDEXED = {
    "live_photos": ("photo_id", "business_id", "user_id"),
    "live_reviews": ("user_id", "business_id"),
}


def photos_schema(dim: int) -> pa.Schema:
    """One row per photo that has an embedding; `vector` is a unit vector of `dim` float16."""
    return pa.schema(
        [
            ("photo_id", pa.string()),
            ("business_id", pa.string()),
            ("user_id", pa.string()),
            ("review_id", pa.string()),
            ("vector", pa.list_(pa.float16(), dim)),
            ("bytes", pa.binary()),  # JPEG
            ("width", pa.int32()),  # px
            ("height", pa.int32()),  # px
        ]
    )


def reviews_schema(dim: int) -> pa.Schema:
    """One row per review; `feature` as in `review_features`, null if no sentence has an embedding.

    Not named `vector`, because LanceDB rejects nulls in a column of that name.
    """
    return pa.schema(
        [
            ("review_id", pa.string()),
            ("user_id", pa.string()),
            ("business_id", pa.string()),
            ("text", pa.string()),
            ("rating", pa.float32()),  # 1 to 5, null where unknown
            ("feature", pa.list_(pa.float16(), dim)),
        ]
    )


def live_schemas(dim: int, space: str) -> dict[str, pa.Schema]:
    """Schemas of the side tables for uploads: rows as above, their tenant and the sequence number of their PUT."""
    own = [pa.field("tenant", pa.string()), pa.field("put", pa.int64())]  # the highest `put` of a group is valid
    rows = {"live_photos": photos_schema(dim), "live_reviews": reviews_schema(dim)}
    return {name: pa.schema([*own, *schema], metadata={EMBEDDING_SPACE: space}) for name, schema in rows.items()}


def live_folder(space: str) -> str:
    """Folder of the side tables: one per encoder, because vectors of two encoders can't be compared."""
    return f"live-{hashlib.sha256(space.encode()).hexdigest()[:12]}"


BUSINESSES = pa.schema(
    [
        ("business_id", pa.string()),
        ("photos", pa.int64()),
        ("reviews", pa.int64()),
        ("rating", pa.float32()),  # mean, null where no review has one
        ("snippet", pa.string()),  # excerpt of a review
        ("photo_ids", pa.list_(pa.string())),  # a few samples
    ]
)
USERS = pa.schema(
    [
        ("user_id", pa.string()),
        ("photos", pa.int64()),
        ("reviews", pa.int64()),
        ("snippet", pa.string()),  # excerpt of a review
        ("photo_ids", pa.list_(pa.string())),
    ]
)
