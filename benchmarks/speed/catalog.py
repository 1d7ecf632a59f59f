"""The catalog: memory of a publish, lookups of a business' photos; on a made-up corpus.

    python -m benchmarks.speed.catalog [--photos 300000 --dim 512]

Lookups: ours by index against pyarrow.dataset's scan of the same rows in Parquet, the answers compared. Each part runs
in a process of its own, so that its memory is its own.
"""

import tempfile
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from benchmarks.harness import alone, each_ms, finish, parse, peak_mib, print_line, unit_vectors, write_vectors
from showcases.catalog import Catalog, located
from showcases.catalog.corpus import photo_batches, review_batches
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingShards
from showcases.storage.schemas import PHOTOS

SHARD = 4096  # rows
PHOTOS_A_BUSINESS, PHOTOS_A_REVIEW, SENTENCES = 67, 3, 3  # GEST: 4.4 million photos, 65 thousand businesses
TOPICS = 200  # vectors of one topic are alike, as photos of one dish are


@dataclass(frozen=True)
class Sizes:
    """What is measured."""

    photos: int = 300_000
    dim: int = 512
    lookups: int = 300  # of businesses by index
    scans: int = 20  # of the same data by the rival
    seed: int = 0

    @property
    def businesses(self) -> int:
        return max(1, self.photos // PHOTOS_A_BUSINESS)

    @property
    def reviews(self) -> int:
        return max(1, self.photos // PHOTOS_A_REVIEW)


def vectors_of(sizes: Sizes, start: int, count: int) -> np.ndarray:
    """(count, d) float16 unit vectors of rows `start` and on, each near to the middle of its topic."""
    centres = np.random.default_rng(sizes.seed).standard_normal((TOPICS, sizes.dim), np.float32)
    rng = np.random.default_rng([sizes.seed, start])
    vectors = centres[rng.integers(0, TOPICS, count)] + 0.7 * rng.standard_normal((count, sizes.dim), np.float32)
    return unit_vectors(vectors).astype(np.float16)


def strings(prefix: str, numbers: np.ndarray) -> pa.Array:
    """Ids about as long as GEST's."""
    return pa.array([f"{prefix}{number:018d}" for number in numbers])


def make(folder: str, sizes: Sizes) -> None:
    """A workspace with all that publish reads, and `flat`, a folder beside it with the same rows for the rival."""
    workspace = Workspace(folder)
    business = np.random.default_rng([sizes.seed, 1]).integers(0, sizes.businesses, sizes.reviews)
    for number, start in enumerate(range(0, sizes.photos, SHARD)):
        rows = np.arange(start, min(start + SHARD, sizes.photos))
        review = np.minimum(rows // PHOTOS_A_REVIEW, sizes.reviews - 1)
        names, part = strings("AF1QipNOPQRSTUVWXYZ-", rows), f"part-{number:05d}.parquet"
        posted = [names, strings("r", review), strings("u", review // 2), strings("b", business[review])]
        photos = pa.table([*posted, pa.repeat("", len(rows))], schema=PHOTOS)
        workspace.write_table(photos, "photos", part)
        same = {"bytes": b"jpeg", "width": 640, "height": 480, "status": "ok"}
        images = {"photo_id": names} | {name: pa.repeat(value, len(rows)) for name, value in same.items()}
        images |= dict.fromkeys(("error", "content_hash", "same_as"), pa.nulls(len(rows), pa.string()))
        workspace.write_table(pa.table(images), "images", part)
        vectors = vectors_of(sizes, start, len(rows))
        other = f"part-{(number * 7919) % 100_003:06d}.parquet"  # the shards of `embed` come in another order
        write_vectors(workspace, "image_embeddings", other, names, vectors)
        column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), sizes.dim)
        flat = photos.drop_columns("url").append_column("vector", column)
        flat = flat.append_column("bytes", images["bytes"])
        Path(folder, "flat").mkdir(exist_ok=True)
        pq.write_table(flat, f"{folder}/flat/{part}")
    for number, start in enumerate(range(0, sizes.reviews, SHARD)):
        _write_reviews(workspace, sizes, np.arange(start, min(start + SHARD, sizes.reviews)), business, number)
    finish(workspace, "photos", "images", "image_embeddings", "reviews", "sentence_embeddings")


def _write_reviews(workspace: Workspace, sizes: Sizes, rows: np.ndarray, business: np.ndarray, number: int) -> None:
    part, texts = f"part-{number:05d}.parquet", pa.array(["The noodles were good. " * (1 + row % 9) for row in rows])
    nothing = pa.array([[]] * len(rows), pa.list_(pa.string()))
    ids = {
        "review_id": strings("r", rows),
        "user_id": strings("u", rows // 2),
        "business_id": strings("b", business[rows]),
    }
    more = {"rating": pa.array(1.0 + rows % 5, pa.float32()), "text": texts, "sentences": nothing, "photo_ids": nothing}
    workspace.write_table(pa.table({**ids, **more, "split": pa.repeat("train", len(rows))}), "reviews", part)
    said = pa.array([f"r{row:018d}:{place}" for row in rows for place in range(SENTENCES)])
    vectors = vectors_of(sizes, sizes.photos + int(rows[0]), len(said))
    write_vectors(workspace, "sentence_embeddings", part, said, vectors)


def publish(folder: str, sizes: Sizes) -> dict[str, Any]:
    """Seconds, and the most memory that this process had (MiB), before and in all."""
    workspace = Workspace(folder)
    import lancedb  # noqa: F401 - its memory is not the publish's

    before, began = peak_mib(), time.perf_counter()
    images, sentences = (EmbeddingShards(workspace, f"{kind}_embeddings") for kind in ("image", "sentence"))
    rows = Catalog.write(
        located(workspace)[0], photo_batches(workspace, images), review_batches(workspace, sentences), "benchmark"
    )
    return {"rows": rows, "seconds": time.perf_counter() - began, "before": before, "peak": peak_mib()}


def lookups(folder: str, sizes: Sizes) -> dict[str, Any]:
    """Milliseconds of each lookup of a business' photos, ours and the rival's; stops where an answer differs."""
    catalog, flat = Catalog.open(f"{folder}/catalog"), ds.dataset(f"{folder}/flat")
    places = np.random.default_rng([sizes.seed, 2]).integers(0, sizes.businesses, sizes.lookups)
    ids = [f"b{place:018d}" for place in places]
    before = peak_mib()

    def scan(name: str) -> pa.Table:
        return flat.to_table(columns=["photo_id", "vector"], filter=ds.field("business_id") == name)

    found = [len(catalog.photos_of_business(name).ids) for name in ids[:5]]  # also warms both up
    if found != [scan(name).num_rows for name in ids[:5]]:
        raise SystemExit("the two sides found different photos")
    ours = each_ms(catalog.photos_of_business, ids)
    after = peak_mib()
    return {"ours": ours, "rival": each_ms(scan, ids[: sizes.scans]), "grew": after - before}


def run(sizes: Sizes, folder: str) -> None:
    """Print the figures and the line."""
    alone(make, folder, sizes)
    written = alone(publish, folder, sizes)
    print(f"publish: {written['rows']}, {written['seconds']:.1f} s, at most {written['peak']:,.0f} MiB", end="")
    print(f" ({written['before']:,.0f} before it began)", flush=True)
    looked = alone(lookups, folder, sizes)
    vectors = (sizes.photos + sizes.reviews * SENTENCES) * sizes.dim * 2 / 2**20
    print(f"the vectors alone are {vectors:,.0f} MiB")
    halves = {"photos of a business, by index": looked["ours"], "the same, a scan by pyarrow.dataset": looked["rival"]}
    for name, spent in halves.items():
        print(f"{name:38} p50 {np.median(spent):9.2f} ms   p99 {np.quantile(spent, 0.99):9.2f} ms   n {len(spent)}")
    print(f"lookups added {looked['grew']:,.0f} MiB")
    ours, rival = float(np.median(looked["ours"])), float(np.median(looked["rival"]))
    more = {"publish_s": written["seconds"], "publish_peak_mib": written["peak"]}
    print_line("catalog", rival / ours, ours, rival, "ms for the photos of one business, p50", **more)


def main() -> None:
    sizes = Sizes(**vars(parse(__doc__, **{field.name: (field.default, None) for field in fields(Sizes)})))
    with tempfile.TemporaryDirectory() as folder:
        run(sizes, folder)


if __name__ == "__main__":
    main()
