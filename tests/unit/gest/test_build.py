"""The datasets' rules, and Figure 3's diversities against the quadratic loop."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from showcases.artifacts import ALIGNMENTS, PHOTOS, REVIEWS
from showcases.embeddings import EmbeddingTable
from showcases.gest.build import build_gest, diversities, table_1
from showcases.gest.config import BuildConfig


def unit_vectors(n: int, dim: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, dim)) + 0.5
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def photo_table(rows: list[tuple[str, str, str]]) -> pa.Table:
    named = [{"photo_id": p, "user_id": u, "business_id": b, "review_id": f"{u}_{b}", "url": None} for p, u, b in rows]
    return pa.Table.from_pylist(named, schema=PHOTOS)


def test_diversities_equal_the_mean_over_all_pairs() -> None:
    rng = np.random.default_rng(0)
    rows = [(f"p{i}", f"u{rng.integers(6)}", f"b{rng.integers(4)}") for i in range(60)]
    table = EmbeddingTable([p for p, _, _ in rows], unit_vectors(60, 8, 1), "m")
    vectors = table.vectors.astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs: dict[str, list[float]] = {"intra_business": [], "inter_user": [], "intra_user": []}
    for (i, (_, u, b)), (j, (_, v, c)) in itertools.combinations(enumerate(rows), 2):
        if b == c:
            distance = 1 - float(vectors[i] @ vectors[j])
            pairs["intra_business"].append(distance)
            pairs["intra_user" if u == v else "inter_user"].append(distance)
    found = diversities(photo_table(rows), table)
    for name, distances in pairs.items():
        assert found[name] == pytest.approx(np.mean(distances), abs=1e-9)


def test_diversity_without_a_pair_is_nan() -> None:
    table = EmbeddingTable(["p1"], unit_vectors(1, 4, 0), "m")
    assert all(np.isnan(v) for v in diversities(photo_table([("p1", "u1", "b1")]), table).values())


def review(
    user: str, business: str, sentences: list[str], photos: list[str], split: str = "train"
) -> dict[str, object]:
    return {
        "review_id": f"{user}_{business}", "user_id": user, "business_id": business, "rating": 5.0,
        "text": " ".join(sentences), "sentences": sentences, "photo_ids": photos, "split": split,
    }  # fmt: skip


@pytest.fixture
def corpus() -> tuple[pa.Table, pa.Table, pa.Table, EmbeddingTable]:
    rows = [
        review("u1", "b1", ["Good ramen.", "Easy parking."], ["p1", "lost"]),
        review("u1", "b2", ["Nice cake."], ["p2"]),
        review("u1", "b3", ["Gone photo."], ["lost2"]),
        review("u2", "b1", ["Only review here."], ["p3"]),
    ]
    reviews = pa.Table.from_pylist(rows, schema=REVIEWS)
    photos = photo_table([("p1", "u1", "b1"), ("lost", "u1", "b1"), ("p2", "u1", "b2"), ("p3", "u2", "b1")])
    scores = [("u1_b1", 0, "p1", 0.9), ("u1_b1", 1, "p1", 0.1), ("u1_b2", 0, "p2", 0.2), ("u2_b1", 0, "p3", 0.1)]
    aligned = [{"review_id": r, "sentence_id": f"{r}:{i}", "photo_id": p, "score": s} for r, i, p, s in scores]
    images = EmbeddingTable(["p1", "p2", "p3"], unit_vectors(3, 4, 0), "m")
    return reviews, photos, pa.Table.from_pylist(aligned, schema=ALIGNMENTS), images


def test_rules_of_s1_s2_and_ft(corpus: tuple[pa.Table, pa.Table, pa.Table, EmbeddingTable]) -> None:
    gest = build_gest(*corpus, BuildConfig())
    assert [(r["review_id"], r["photo_ids"]) for r in gest.s1.to_pylist()] == [("u1_b1", ["p1"]), ("u1_b2", ["p2"])]
    assert gest.s1["history_review_ids"].to_pylist() == [["u1_b2", "u1_b3"], ["u1_b1", "u1_b3"]]
    assert [(r["review_id"], r["explanation"]) for r in gest.s2.to_pylist()] == [("u1_b1", "Good ramen.")]
    assert gest.ft.to_pylist() == [{"review_id": "u2_b1", "text": "Only review here."}]
    assert gest.left_out == {
        "s1: reviews of users with one review": 1,
        "s1: reviews without a photo that can be had": 1,
        "s2: reviews no sentence of which matches a photo": 1,
    }


def test_table_1_counts_what_it_names(corpus: tuple[pa.Table, pa.Table, pa.Table, EmbeddingTable]) -> None:
    figures = table_1(corpus[0].to_pylist(), "text")
    assert figures == {"images": 5, "reviews": 4, "users": 2, "businesses": 3, "average_words": (4 + 2 + 2 + 3) / 4}
