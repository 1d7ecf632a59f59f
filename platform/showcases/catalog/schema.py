"""The catalog's tables. `photos` and `reviews` are what a request needs; `businesses` and `users` are small
summaries, counted once when the catalog is written, for people who look for somebody or some place.
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
LIVE_GROUP = {"live_photos": "business_id", "live_reviews": "user_id"}  # what one PUT replaces, by table
LIVE_INDEXED = {
    "live_photos": ("photo_id", "business_id", "user_id"),
    "live_reviews": ("user_id", "business_id"),
}


def photos_schema(dim: int) -> pa.Schema:
    """One row a photo that has an embedding; `vector` is a unit vector of `dim` float16."""
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
    """One row a review; `feature` is that of `review_features`, null where no sentence has an embedding.

    It is not called vector because LanceDB refuses nulls in a column of that name.
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
    """The side tables of what users sent: rows as above, whose they are, and the PUT that brought them."""
    own = [pa.field("tenant", pa.string()), pa.field("put", pa.int64())]  # of one group the highest put counts
    rows = {"live_photos": photos_schema(dim), "live_reviews": reviews_schema(dim)}
    return {name: pa.schema([*own, *schema], metadata={EMBEDDING_SPACE: space}) for name, schema in rows.items()}


def live_folder(space: str) -> str:
    """Folder of the side tables: one an encoder, because vectors of two can't be compared."""
    return f"live-{hashlib.sha256(space.encode()).hexdigest()[:12]}"


BUSINESSES = pa.schema(
    [
        ("business_id", pa.string()),
        ("photos", pa.int64()),
        ("reviews", pa.int64()),
        ("rating", pa.float32()),  # mean, null where no review has one
        ("snippet", pa.string()),  # how somebody wrote about it
        ("photo_ids", pa.list_(pa.string())),  # a few, to look at
    ]
)
USERS = pa.schema(
    [
        ("user_id", pa.string()),
        ("photos", pa.int64()),
        ("reviews", pa.int64()),
        ("snippet", pa.string()),  # how they write
        ("photo_ids", pa.list_(pa.string())),
    ]
)
