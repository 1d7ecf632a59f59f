"""Arrow schemas of the flow's tables; `flow.py` assigns them to artifacts."""

import pyarrow as pa

REVIEWS = pa.schema(
    [
        ("review_id", pa.string()),  # <user_id>_<business_id>, see showcases.ids.review_id
        ("user_id", pa.string()),
        ("business_id", pa.string()),
        ("rating", pa.float32()),  # 1 to 5, null if missing
        ("text", pa.string()),  # verbatim
        ("sentences", pa.list_(pa.string())),  # sentence i has the id <review_id>:<i>
        ("photo_ids", pa.list_(pa.string())),
        ("split", pa.string()),  # train, val or test, by user
    ]
)
PHOTOS = pa.schema([(name, pa.string()) for name in ("photo_id", "review_id", "user_id", "business_id", "url")])
REJECTS = pa.schema(
    [
        ("file", pa.string()),
        ("line", pa.int64()),  # from 1; in filter_all_t.json the row number
        ("offset", pa.int64()),  # byte offset in the decompressed file
        ("reason", pa.string()),  # one of showcases.gest.reading.rejects.Reason
        ("detail", pa.string()),
        ("raw", pa.binary()),  # the raw line, at most its first 1,000 bytes
    ]
)
IMAGES = pa.schema(
    [
        ("photo_id", pa.string()),
        ("bytes", pa.binary()),  # JPEG; null unless status is ok and same_as is null
        ("width", pa.int32()),  # px
        ("height", pa.int32()),  # px
        ("status", pa.string()),  # ok, expired, not_found, corrupt, too_large, blocked, failed
        ("error", pa.string()),  # reason if not ok
        ("content_hash", pa.string()),  # SHA-256 of the original bytes, in hex; null unless ok
        ("same_as", pa.string()),  # photo_id of the exact duplicate that stores the bytes; null if this row does
    ]
)
EMBED_FAILURES = pa.schema(
    [
        ("id", pa.string()),  # photo_id of a photo with status ok in `images`, but no vector
        ("kind", pa.string()),  # corrupt; missing: no bytes; orphan: no row stores the duplicate's bytes
        ("error", pa.string()),
    ]
)
ANNOTATIONS = pa.schema(
    [
        ("sentence_id", pa.string()),
        ("photo_id", pa.string()),
        ("review_id", pa.string()),
        ("votes", pa.list_(pa.int8())),  # one per annotator who answered, 1 = the photo shows the sentence
        ("label", pa.int8()),  # majority, or Dawid-Skene's
        ("source", pa.string()),  # people, or weak (CLIP similarity, for no or few labels)
        ("split", pa.string()),  # 8:1:1 by review
    ]
)
ALIGNMENTS = pa.schema(
    [
        ("review_id", pa.string()),
        ("sentence_id", pa.string()),
        ("photo_id", pa.string()),
        ("score", pa.float32()),  # probability by the classifier, 0 to 1
    ]
)
GEST_S1 = pa.schema(
    [
        ("review_id", pa.string()),
        ("user_id", pa.string()),
        ("business_id", pa.string()),
        ("photo_ids", pa.list_(pa.string())),  # Y: the user's photos; candidates are the business' photos
        ("history_review_ids", pa.list_(pa.string())),  # the user's other reviews
        ("split", pa.string()),
    ]
)
GEST_S2 = pa.schema(
    [
        ("review_id", pa.string()),
        ("user_id", pa.string()),
        ("business_id", pa.string()),
        ("explanation", pa.string()),  # the sentences that some photo of the review matches
        ("photo_ids", pa.list_(pa.string())),
        ("history_review_ids", pa.list_(pa.string())),
        ("split", pa.string()),
    ]
)
GEST_FT = pa.schema([("review_id", pa.string()), ("text", pa.string())])


def embeddings_schema(dim: int, model_id: str = "") -> pa.Schema:
    """Schema of an embeddings table: id, unit vector of `dim` float16; the model's id in the metadata."""
    vector = pa.list_(pa.float16(), dim)
    return pa.schema([("id", pa.string()), ("vector", vector)], metadata={"model_id": model_id})
