"""Votes to labels: majority, ties, pairs that the corpus lacks, the 8:1:1 split; and weak labels."""

import numpy as np
import pyarrow as pa
import pytest

from showcases.distillation.annotations import (
    Pairable,
    ReviewPairs,
    from_votes,
    review_pairs,
    sample_reviews,
    split_by_review,
)
from showcases.distillation.labelstudio import LabelledPair
from showcases.distillation.labelstudio_tasks import WholeReview, make_tasks
from showcases.distillation.weak import weak_labels
from showcases.errors import CorpusError
from showcases.storage.embeddings import EmbeddingTable
from showcases.storage.schemas import ANNOTATIONS

RAMEN = ReviewPairs("u_b", "b", {0: "Good ramen.", 2: "Wow.", 3: "Wow."}, ["p1", "p2"])


def pair(sentence="Good ramen.", photo="p1", votes=(1, 1, 0), review="u_b", index=None):
    people = tuple(f"user {number}" for number in range(len(votes)))
    return LabelledPair(review, sentence, index, photo, tuple(votes), people)


def test_reviews_keep_only_what_is_embedded_and_their_sentence_numbers() -> None:
    reviews = pa.table(
        {
            "review_id": ["u_b", "v_b", "w_b"],
            "business_id": ["b"] * 3,
            "sentences": [["Good.", "Gone.", "Nice."], ["No photo left."], None],
            "photo_ids": [["p1", "broken", "p1"], ["broken"], ["p2"]],
        }
    )
    found = review_pairs(reviews, ["u_b:0", "u_b:2", "v_b:0"], ["p1", "p2"])
    assert found == [ReviewPairs("u_b", "b", {0: "Good.", 2: "Nice."}, ["p1"])]
    assert [len(review) for review in found] == [2]


def test_columns_find_the_reviews_that_rows_do() -> None:
    rng = np.random.default_rng(0)
    names = [f"u:{i}_b" for i in range(40)]
    reviews = pa.table(
        {
            "review_id": names,
            "business_id": ["b"] * 40,
            "sentences": [[f"Said {n}." for n in range(rng.integers(0, 4))] or None for _ in names],
            "photo_ids": [[f"p{i}-{n}" for n in range(rng.integers(0, 3))] for i in range(40)],
        }
    )
    said = [f"{name}:{n}" for name in names for n in range(3) if rng.random() < 0.5]
    said = [key for key in said if int(key[-1]) < len(reviews["sentences"][names.index(key[:-2])].as_py() or ())]
    shown = [f"p{i}-{n}" for i in range(40) for n in range(3) if rng.random() < 0.6]
    pairable = Pairable(reviews, pa.chunked_array([said[:9], said[9:]]), pa.chunked_array([shown]))
    expected = review_pairs(reviews, said, shown)
    assert 5 < len(expected) < 35 and pairable.pairs(pairable.rows()) == expected
    few = [review.review_id for review in expected[3:6]]
    assert pairable.pairs(pairable.rows([*few, "another"])) == expected[3:6]
    assert pairable.pairs(sample_reviews(pairable.rows(), 4, seed=7)) == sample_reviews(expected, 4, seed=7)


def test_majority_ties_and_strangers() -> None:
    labelled = [
        pair(),
        pair(photo="p2", votes=(0, 0, 1)),
        pair(votes=(1, 0), sentence="Wow."),
        pair(photo="p9"),
        pair(review="x_b"),
        pair(sentence="Never said."),
    ]
    result = from_votes(labelled, [RAMEN], seed=0, dropped={"cancelled": 4, "repeated": 0})
    rows = [(r["sentence_id"], r["photo_id"], r["votes"], r["label"]) for r in result.table.to_pylist()]
    assert rows == [("u_b:0", "p1", [1, 1, 0], 1), ("u_b:0", "p2", [0, 0, 1], 0)]
    assert result.dropped == {
        "cancelled": 4,
        "ties": 1,
        "unknown_photo": 1,
        "unknown_review": 1,
        "unknown_sentence": 1,
    }
    assert result.table.schema == ANNOTATIONS
    assert set(result.table["source"].to_pylist()) == {"people"}
    # 6 pairs, n = 17 votes: 10 ones, 7 zeros. Observed: five of 2:1, 2 * 2 * 1 / 2 each, and 1:1, 2 * 1 * 1 / 1: 12
    assert result.agreement.krippendorff_alpha == pytest.approx(1 - 12 / (2 * 10 * 7 / 16))
    disputes = [(d.sentence_id, d.pair.photo_id, d.label) for d in result.disputes]  # of this corpus, ties among them
    assert disputes == [("u_b:0", "p1", 1), ("u_b:0", "p2", 0), ("u_b:2", "p1", None)]


def test_a_sentence_said_twice_is_told_apart_by_its_number() -> None:
    labelled = [pair("Wow.", index=3), pair("Wow.", photo="p2", index=2), pair(" Good  ramen. ", index=1)]
    result = from_votes(labelled, [RAMEN], seed=0)
    assert result.table["sentence_id"].to_pylist() == ["u_b:3", "u_b:2", "u_b:0"]


def test_split_by_review_is_8_1_1_seeded_and_never_empty() -> None:
    names = [f"r{i}" for i in range(100)]
    split = split_by_review(names + names, seed=4)
    counts = {part: list(split.values()).count(part) for part in ("train", "val", "test")}
    assert counts == {"train": 80, "val": 10, "test": 10}
    assert split == split_by_review(reversed(names), seed=4) != split_by_review(names, seed=5)
    assert sorted(split_by_review(["a", "b", "c"], 0).values()) == ["test", "train", "val"]


def test_sample_and_tasks() -> None:
    reviews = [ReviewPairs(f"r{i}", "b", {0: "S"}, ["p"]) for i in range(20)]
    sampled = sample_reviews(reviews, 5, seed=1)
    assert len(sampled) == 5 and sampled == sample_reviews(reviews, 5, seed=1) != sample_reviews(reviews, 5, seed=2)
    assert sample_reviews(reviews, 99, seed=1) == reviews
    whole = {"u_b": WholeReview("Good ramen. We sat outside. Wow. Wow.", ["Good ramen.", "We sat.", "Wow.", "Wow."])}
    data = [task["data"] for task in make_tasks([RAMEN], whole)]
    assert [(d["sentence_index"], d["photo_id"]) for d in data] == [(i, p) for i in (0, 2, 3) for p in ("p1", "p2")]


@pytest.fixture
def topics() -> tuple[list[ReviewPairs], EmbeddingTable, EmbeddingTable]:
    """40 reviews of 10 businesses; two sentences and two photos each, the first of each on one topic."""
    rng = np.random.default_rng(0)
    reviews, text, image = [], {}, {}
    for i in range(40):
        reviews.append(ReviewPairs(f"u{i}_b", f"b{i % 10}", {0: "a", 1: "b"}, [f"p{i}-0", f"p{i}-1"]))
        for number in range(2):
            topic = np.eye(16)[rng.permutation(16)[number]] if number else np.eye(16)[i % 16]
            text[f"u{i}_b:{number}"] = topic + rng.normal(0, 0.05, 16)
            image[f"p{i}-{number}"] = topic * (1 - number) + rng.normal(0, 0.3, 16)

    def table(vectors):
        unit = np.stack([v / np.linalg.norm(v) for v in vectors.values()]).astype(np.float16)
        return EmbeddingTable(list(vectors), unit, "toy")

    return reviews, table(text), table(image)


def test_weak_labels_follow_similarity_and_say_so(topics) -> None:
    reviews, text, image = topics
    table = weak_labels(reviews, text, image, seed=0).table
    rows = table.to_pylist()
    cosine = (text.gather([r["sentence_id"] for r in rows]) * image.gather([r["photo_id"] for r in rows])).sum(1)
    label = np.array([r["label"] for r in rows])
    own = np.array([r["photo_id"].partition("-")[0][1:] == r["review_id"].partition("_")[0][1:] for r in rows])
    assert cosine[label == 1].min() > cosine[(label == 0) & own].max()
    assert own[label == 1].all() and (label == 1).sum() == 40 == ((label == 0) & own).sum()
    business = {p: r.business_id for r in reviews for p in r.photo_ids}
    of_review = {r.review_id: r.business_id for r in reviews}
    strange = [r for r, mine in zip(rows, own, strict=True) if not mine]
    assert len(strange) >= 30 and all(business[r["photo_id"]] != of_review[r["review_id"]] for r in strange)
    assert {(r["source"], len(r["votes"])) for r in rows} == {("weak", 0)}


def test_weak_labels_share_no_photo_between_splits(topics) -> None:
    rows = weak_labels(*topics, seed=3).table.to_pylist()
    splits = {}
    for row in rows:
        splits.setdefault(row["photo_id"], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert {row["split"] for row in rows} == {"train", "val", "test"}


def test_weak_labels_need_pairs(topics) -> None:
    reviews, text, image = topics
    with pytest.raises(CorpusError, match="too few"):
        weak_labels(reviews[:1], text, image, seed=0)
