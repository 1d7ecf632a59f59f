"""The datasets' rules, on a corpus small enough to see through and against plain Python on a random one."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from showcases.gest.building.datasets import build_gest
from showcases.gest.building.statistics import average_words, table_1
from showcases.gest.config import BuildConfig
from showcases.storage.embeddings import EmbeddingTable
from showcases.storage.schemas import ALIGNMENTS, GEST_FT, GEST_S1, GEST_S2, PHOTOS, REVIEWS


def unit_vectors(n: int, dim: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, dim)) + 0.5
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def photo_table(rows: list[tuple[str, str, str]]) -> pa.Table:
    named = [{"photo_id": p, "user_id": u, "business_id": b, "review_id": f"{u}_{b}", "url": None} for p, u, b in rows]
    return pa.Table.from_pylist(named, schema=PHOTOS)


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
        "s1: reviews without an available photo": 1,
        "s2: reviews no sentence of which matches a photo": 1,
    }


def test_table_1_counts_what_it_names(corpus: tuple[pa.Table, pa.Table, pa.Table, EmbeddingTable]) -> None:
    reviews = corpus[0]
    figures = table_1(reviews, "text", pa.array([name for row in reviews["photo_ids"].to_pylist() for name in row]))
    assert figures == {"images": 5, "reviews": 4, "users": 2, "businesses": 3, "average_words": (4 + 2 + 2 + 3) / 4}


def test_words_are_those_that_python_splits() -> None:
    texts = ["", "  two\u3000words ", "one", "a\x1cb\xa0c\u200bd", "\n"]
    assert average_words(pa.chunked_array([texts[:2], texts[2:]])) == np.mean([len(text.split()) for text in texts])
    assert np.isnan(average_words(pa.chunked_array([], pa.string())))


def plain_build(rows: list[dict[str, Any]], scores: dict[tuple[str, str], float], had: set[str], config: BuildConfig):
    """The rules, a review at a time: s1, s2, ft as lists of dicts."""
    s1, s2, ft = [], [], []
    for row in rows:
        others = [r["review_id"] for r in rows if r["user_id"] == row["user_id"] and r is not row]
        best = [
            max((s for (sentence, _), s in scores.items() if sentence == f"{row['review_id']}:{i}"), default=-1.0)
            for i in range(len(row["sentences"]))
        ]
        said = " ".join(x for x, score in zip(row["sentences"], best, strict=True) if score >= config.threshold)
        photos = [name for name in row["photo_ids"] if name in had]
        if not others:
            ft.append({"review_id": row["review_id"], "text": said or row["text"]})
        elif photos:
            names = ("review_id", "user_id", "business_id")
            base = {name: row[name] for name in names} | {"photo_ids": photos, "split": row["split"]}
            base["history_review_ids"] = others[: config.max_history]
            s1.append(base)
            if said:
                s2.append(base | {"explanation": said})
    return s1, s2, ft


@pytest.mark.parametrize("seed", range(3))
def test_columns_follow_the_rules_as_plain_python_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = {(f"u{rng.integers(25)}:x", f"b{rng.integers(9)}") for _ in range(70)}  # an id may hold a colon
    rows, scores = [], {}
    for number, (user, business) in enumerate(sorted(pairs, key=lambda _: rng.random())):
        said = [f"Sentence {i}." for i in range(rng.integers(0, 4))]
        photos = [f"p{number}-{i}" for i in range(rng.integers(0, 4))]
        rows.append(review(user, business, said, photos, split=str(rng.choice(["train", "test"]))))
        for i in range(len(said)):
            scores |= {(f"{user}_{business}:{i}", name): float(np.float32(rng.random())) for name in photos}
    photos = [(name, row["user_id"], row["business_id"]) for row in rows for name in row["photo_ids"]]
    had = [name for name, _, _ in photos if rng.random() < 0.7]
    aligned = pa.table({"sentence_id": [s for s, _ in scores], "score": pa.array(scores.values(), pa.float32())})
    reviews = pa.Table.from_pylist(rows, schema=REVIEWS)
    reviews = pa.concat_tables([reviews[:20], reviews[20:21], reviews[21:21], reviews[21:]])  # uneven chunks
    config = BuildConfig(threshold=0.6, max_history=2)
    images = EmbeddingTable(had, unit_vectors(len(had), 4, seed), "m")
    gest = build_gest(reviews, photo_table(photos), aligned, images, config)
    s1, s2, ft = plain_build(rows, scores, set(had), config)
    assert (gest.s1.to_pylist(), gest.s2.to_pylist(), gest.ft.to_pylist()) == (
        [{name: row[name] for name in GEST_S1.names} for row in s1],
        [{name: row[name] for name in GEST_S2.names} for row in s2],
        ft,
    )
    assert gest.s1.schema == GEST_S1 and gest.s2.schema == GEST_S2 and gest.ft.schema == GEST_FT
    assert s1 and s2 and ft and len(s2) < len(s1)
    for name, chosen in (("s1", s1), ("s2", s2)):
        figures = gest.statistics[name]
        assert figures["images"] == len({photo for row in chosen for photo in row["photo_ids"]})
        assert figures["reviews"] == len(chosen) and figures["users"] == len({row["user_id"] for row in chosen})
    assert gest.statistics["s2"]["average_words"] == np.mean([len(row["explanation"].split()) for row in s2])
