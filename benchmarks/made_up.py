"""A workspace of any size as `ingest`, `embed` and `annotate` leave it, with random vectors: for the steps after."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.harness import finish, unit_vectors, write_vectors
from showcases.gest.building.ragged import lists, spans
from showcases.storage.artifacts import Workspace
from showcases.storage.schemas import ANNOTATIONS, PHOTOS, REVIEWS

ROWS = 8192  # of a shard of vectors


@dataclass(frozen=True)
class MadeUp:
    """How large; GEST has 2.5 photos and about 4.5 sentences a review, 1.75 reviews a user, 27 a business."""

    reviews: int = 200_000
    dim: int = 512
    seed: int = 0


def write_workspace(root: str, sizes: MadeUp) -> dict[str, int]:
    """Write reviews, photos, both embeddings and annotations; returns how many rows of each."""
    workspace, rng = Workspace(root), np.random.default_rng(sizes.seed)
    n = sizes.reviews
    said, shown = rng.integers(1, 9, n), rng.integers(1, 5, n)
    user = np.minimum(rng.zipf(2.2, n) - 1 + rng.integers(0, max(1, n // 2), n), n)
    business = (np.arange(n) // 3 * 7919 + user) % max(1, n // 27)
    name = _joined(_named("u", user), _named(f"{sizes.seed}-", np.arange(n)), "_b")  # ids stay distinct
    sentences = _joined(name.take(pa.array(np.repeat(np.arange(n), said))), _named("", _nth(said)), ":")
    photos = _joined(_named("photo-", np.repeat(np.arange(n), shown)), _named("", _nth(shown)), "-")
    words = pa.array([f"The ramen number {i} was good, and so was the view." for i in range(97)])
    texts = words.take(pa.array(rng.integers(0, 97, said.sum())))
    columns = {
        "review_id": name,
        "user_id": _named("u", user),
        "business_id": _named("b", business),
        "rating": pa.nulls(n, pa.float32()),
        "text": words.take(pa.array(rng.integers(0, 97, n))),
        "sentences": lists(texts, said),
        "photo_ids": lists(photos, shown),
        "split": pa.array(["train"]).take(pa.array(np.zeros(n, int))),
    }
    reviews = pa.table(columns, schema=REVIEWS)
    _write(workspace, "reviews", reviews, reviews=n)
    of = pa.array(np.repeat(np.arange(n), shown))
    owners = {key: reviews[key].take(of) for key in ("review_id", "user_id", "business_id")}
    _write(workspace, "photos", pa.table({"photo_id": photos, "url": photos, **owners}).select(PHOTOS.names))
    _write_vectors(workspace, "sentence_embeddings", sentences, sizes)
    _write_vectors(workspace, "image_embeddings", photos, sizes)
    pairs = _annotations(reviews, sentences, photos, said, shown, rng)
    _write(workspace, "annotations", pairs, metrics={"source": "weak"})
    return {"reviews": n, "sentences": len(sentences), "photos": len(photos), "pairs": int((said * shown).sum())}


def _annotations(
    reviews: pa.Table,
    sentences: pa.Array,
    photos: pa.Array,
    said: np.ndarray,
    shown: np.ndarray,
    rng: np.random.Generator,
) -> pa.Table:
    """The first pair of each of the first 2,000 reviews, labelled by the toss of a coin."""
    count = min(2000, len(said))
    first = pa.array((np.cumsum(said) - said)[:count]), pa.array((np.cumsum(shown) - shown)[:count])
    label = rng.integers(0, 2, count)
    columns = {
        "sentence_id": sentences.take(first[0]),
        "photo_id": photos.take(first[1]),
        "review_id": reviews["review_id"][:count],
        "votes": pa.array([[int(value)] for value in label]),
        "label": label,
        "source": ["weak"] * count,
        "split": [("val", "test")[i % 10 - 8] if i % 10 > 7 else "train" for i in range(count)],
    }
    return pa.table(columns).cast(ANNOTATIONS)


def _write_vectors(workspace: Workspace, artifact: str, ids: pa.Array, sizes: MadeUp) -> None:
    for number, start in enumerate(range(0, len(ids), ROWS)):
        part = ids[start : start + ROWS]
        vectors = np.random.default_rng([sizes.seed, number]).standard_normal((len(part), sizes.dim), np.float32) + 1
        write_vectors(workspace, artifact, f"part-{number:05d}.parquet", part, unit_vectors(vectors))
    finish(workspace, artifact, vectors=len(ids))


def _write(workspace: Workspace, artifact: str, table: pa.Table, metrics: dict | None = None, **rows: int) -> None:
    workspace.write_table(table, artifact)
    finish(workspace, artifact, metrics=metrics, **rows)


def _named(prefix: str, numbers: np.ndarray) -> pa.Array:
    return _joined(pa.array([prefix] * len(numbers)), pa.array(numbers).cast(pa.string()), "")


def _joined(left: pa.Array, right: pa.Array, between: str) -> pa.Array:
    return pc.binary_join_element_wise(left, right, between)


def _nth(lengths: np.ndarray) -> np.ndarray:
    """0, 1, 2, … within each run of these lengths."""
    return spans(np.zeros_like(lengths), lengths)
