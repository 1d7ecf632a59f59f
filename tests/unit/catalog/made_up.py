"""A small made-up corpus for the catalog's tests, and ids that a careless filter would stumble over."""

import numpy as np
import pyarrow as pa

from showcases.catalog import Catalog, photos_schema, reviews_schema

DIM = 16  # from 10 on LanceDB treats a column as one of vectors, which changes how it takes nulls
SPACE = "tiny/test#0123456789ab"
ODD_USER = 'o\'Hara "the" fork; -- 100%_'
ATTACKS = [
    "x' OR '1'='1",
    "' OR 1=1 --",
    "u0' UNION SELECT * FROM users --",
    "u0'; DROP TABLE photos; --",
    "\\' OR true --",
    "%",
    "_0",
    "../../etc/passwd",
]


def photo_list(count: int = 60) -> list[dict]:
    random = np.random.default_rng(0)
    rows = []
    for number in range(count):
        vector = random.normal(size=DIM)
        user = ODD_USER if number % 7 == 3 else f"u{number % 7}"
        business = f"b{number % 4}"
        rows.append(
            {
                "photo_id": f"p{number}",
                "business_id": business,
                "user_id": user,
                "review_id": f"{user}_{business}",
                "vector": (vector / np.linalg.norm(vector)).astype(np.float16),
                "bytes": f"jpeg of p{number}".encode(),
                "width": 100 + number,
                "height": 80,
            }
        )
    return rows


def review_list(photos: list[dict]) -> list[dict]:
    random = np.random.default_rng(1)
    rows = []
    for number, name in enumerate(sorted({row["review_id"] for row in photos} | {"silent_b0", "silent_b9"})):
        user, _, business = name.rpartition("_")
        rows.append(
            {
                "review_id": name,
                "user_id": user,
                "business_id": business,
                "text": "Crispy GYOZA! " * (number % 5 + 1),
                "rating": None if number % 4 == 0 else float(number % 5 + 1),
                "feature": None if number % 3 == 0 else random.normal(size=DIM).astype(np.float16),
            }
        )
    return rows


PHOTOS = photo_list()
REVIEWS = review_list(PHOTOS)


def batches(rows: list[dict], schema: pa.Schema, size: int = 25) -> list[pa.RecordBatch]:
    return [
        pa.RecordBatch.from_pylist(rows[start : start + size], schema=schema) for start in range(0, len(rows), size)
    ]


def write(uri: str, options: dict[str, str] | None = None) -> dict[str, int]:
    photos, reviews = batches(PHOTOS, photos_schema(DIM)), batches(REVIEWS, reviews_schema(DIM))
    return Catalog.write(uri, iter(photos), iter(reviews), SPACE, options)
