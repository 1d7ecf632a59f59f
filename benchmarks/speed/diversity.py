"""Figure 3's diversities of a large corpus: the closed form over a stream against the product of all pairs.

    python -m benchmarks.speed.diversity [--vectors 1000000 --businesses 20000 --sample 2000]

Both sides get the same sample of businesses in memory and must agree to 1e-5; ours then does the whole corpus, streamed
from shards as `build_gest` does it. What the quadratic loop would need for the whole is extrapolated, and marked.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.harness import alone, finish, parse, peak_mib, print_line, unit_vectors, write_vectors
from showcases.gest.building.diversity import diversities
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import EmbeddingShards, EmbeddingTable

SHARD = 16_384  # vectors
AGREE = 1e-5


@dataclass(frozen=True)
class Sizes:
    """What is measured; `spread` is sigma of the log-normal sizes of businesses, 0 makes them all alike."""

    vectors: int = 1_000_000
    businesses: int = 20_000
    dim: int = 512
    sample: int = 2000
    spread: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class Corpus:
    """Photos (n,): number of the business and of the review that shows each, in the order of the corpus."""

    business: np.ndarray
    review: np.ndarray

    def table(self, rows: np.ndarray) -> pa.Table:
        """A user a review: photo_id, user_id, business_id of these photos."""
        names = {"photo_id": rows, "user_id": self.review[rows], "business_id": self.business[rows]}
        return pa.table({name: pa.array(values).cast(pa.string()) for name, values in names.items()})


def make_corpus(sizes: Sizes) -> Corpus:
    """Reviews of 1 to 4 photos, of businesses of uneven sizes, as they come: no business lies together."""
    rng = np.random.default_rng(sizes.seed)
    lengths = rng.integers(1, 5, sizes.vectors)
    lengths = lengths[: np.searchsorted(np.cumsum(lengths), sizes.vectors) + 1]
    weights = rng.lognormal(sigma=sizes.spread, size=sizes.businesses) if sizes.spread else np.ones(sizes.businesses)
    business = rng.choice(sizes.businesses, len(lengths), p=weights / weights.sum())
    review = np.repeat(np.arange(len(lengths)), lengths)[: sizes.vectors]
    return Corpus(business[review], review)


def make_vectors(corpus: Corpus, sizes: Sizes, rows: np.ndarray) -> np.ndarray:
    """(k, d) unit vectors of these photos, all of them leaning to one side as CLIP's do."""
    rng = np.random.default_rng([sizes.seed, int(rows[0]) if len(rows) else 0])
    vectors = rng.standard_normal((len(rows), sizes.dim), np.float32) + 1
    vectors[:, 0] += corpus.business[rows] % 7  # businesses differ
    return unit_vectors(vectors).astype(np.float16)


def write_shards(folder: str, corpus: Corpus, sizes: Sizes) -> None:
    """`image_embeddings` in a workspace."""
    workspace = Workspace(folder)
    for number, start in enumerate(range(0, sizes.vectors, SHARD)):
        rows = np.arange(start, min(start + SHARD, sizes.vectors))
        ids = pa.array(rows).cast(pa.string())
        vectors = make_vectors(corpus, sizes, rows)
        write_vectors(workspace, "image_embeddings", f"part-{number:05d}.parquet", ids, vectors)
    finish(workspace, "image_embeddings")


def quadratic(photos: pa.Table, images: EmbeddingTable) -> dict[str, float]:
    """The definition: all pairs of each business by one matrix product, float32; the pairs of one user among them."""
    user = np.array(photos["user_id"].to_pylist())
    names, group = np.unique(np.array(photos["business_id"].to_pylist()), return_inverse=True)
    rows = images.rows(photos["photo_id"].to_pylist())
    sums = {"intra_business": [0.0, 0], "inter_user": [0.0, 0], "intra_user": [0.0, 0]}
    order = np.argsort(group, kind="stable")
    for members in np.split(order, np.cumsum(np.bincount(group, minlength=len(names)))[:-1]):
        vectors = images.vectors[rows[members]].astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        above = np.triu_indices(len(members), 1)
        distances, same = (1 - vectors @ vectors.T)[above], (user[members][:, None] == user[members])[above]
        parts = {"intra_business": distances, "inter_user": distances[~same], "intra_user": distances[same]}
        for name, found in parts.items():
            sums[name][0] += float(found.sum(dtype=np.float64))
            sums[name][1] += len(found)
    return {name: total / count for name, (total, count) in sums.items()}


def closed_form(photos: pa.Table, images: EmbeddingTable | EmbeddingShards) -> dict[str, float]:
    """Ours, all photos in one set."""
    return diversities(photos, images, {"raw": np.ones(photos.num_rows, bool)})["raw"]


def measured(work: Callable[[], Any]) -> dict[str, Any]:
    """Result, seconds, and by how many MiB this process grew at most while it worked."""
    before, began = peak_mib(), time.perf_counter()
    result = work()
    return {"result": result, "seconds": time.perf_counter() - began, "grew": peak_mib() - before}


def contender(name: str, folder: str, sizes: Sizes) -> dict[str, Any]:
    """One side, alone in its process, so that its memory is its own."""
    corpus = make_corpus(sizes)
    if name == "whole":
        photos = corpus.table(np.arange(len(corpus.review)))
        return measured(lambda: closed_form(photos, EmbeddingShards(Workspace(folder), "image_embeddings")))
    side = quadratic if name == "quadratic" else closed_form
    side(*sample(corpus, replace(sizes, sample=5)))  # threads start, libraries load
    photos, images = sample(corpus, sizes)
    return measured(lambda: side(photos, images))


def sample(corpus: Corpus, sizes: Sizes) -> tuple[pa.Table, EmbeddingTable]:
    """The photos of some businesses, and their vectors in memory."""
    chosen = np.random.default_rng([sizes.seed, 1]).permutation(sizes.businesses)[: sizes.sample]
    rows = np.flatnonzero(np.isin(corpus.business, chosen))
    images = EmbeddingTable(rows.astype(str).tolist(), make_vectors(corpus, sizes, rows), "benchmark")
    images.rows([])  # makes the index of ids before the clock runs
    return corpus.table(rows), images


def run(sizes: Sizes, folder: str) -> None:
    """Print the table and the line; stop with an error where the two sides disagree."""
    corpus = make_corpus(sizes)
    write_shards(folder, corpus, sizes)
    counts = np.bincount(corpus.business, minlength=sizes.businesses).astype(np.float64)
    chosen = np.random.default_rng([sizes.seed, 1]).permutation(sizes.businesses)[: sizes.sample]
    pairs = counts * (counts - 1) / 2
    del corpus
    sides = ("closed form", "quadratic", "whole")
    ours, rival, everything = (alone(contender, name, folder, sizes) for name in sides)
    for name, value in rival["result"].items():
        if abs(value - ours["result"][name]) > AGREE:
            raise SystemExit(f"{name}: {ours['result'][name]} by the closed form, {value} by all pairs")
    share = pairs[chosen].sum() / pairs.sum()
    print(f"{sizes.vectors:,} vectors of {sizes.dim} in {sizes.businesses:,} businesses, ", end="")
    print(f"at most {counts.max():,.0f} photos in one; {pairs.sum():,.0f} pairs, ", end="")
    print(f"{pairs[chosen].sum():,.0f} of them in the sample of {sizes.sample:,}")
    print(f"{'':46}{'seconds':>10}{'memory, MiB':>14}")
    for label, side in (
        ("closed form, sample", ours),
        ("all pairs, sample", rival),
        ("closed form, all, from shards", everything),
    ):
        print(f"{label:46}{side['seconds']:>10.3f}{side['grew']:>14,.0f}")
    print(f"{'all pairs, all (extrapolated by pairs)':46}{rival['seconds'] / share:>10.1f}{'':>14}")
    print(", ".join(f"{name} {value:.6f}" for name, value in everything["result"].items()))
    unit = f"s for the pairs of {sizes.sample} businesses"
    print_line("diversity", rival["seconds"] / ours["seconds"], ours["seconds"], rival["seconds"], unit)


def main() -> None:
    sizes = Sizes(**vars(parse(__doc__, **{field.name: (field.default, None) for field in fields(Sizes)})))
    with tempfile.TemporaryDirectory() as folder:
        run(sizes, folder)


if __name__ == "__main__":
    main()
