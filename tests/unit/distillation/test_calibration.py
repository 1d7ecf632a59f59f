"""Thresholds of CLIP similarity read off a few labels hold on other pairs, or say that they cannot."""

import numpy as np
import pytest

from showcases.distillation.annotations import AnnotationSet, Dispute, ReviewPairs, annotation_table
from showcases.distillation.calibration import fill_up, find_thresholds, lower_bound
from showcases.distillation.labelstudio import LabelledPair
from showcases.storage.embeddings import EmbeddingTable


def made_up(rng: np.random.Generator, count: int, apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of pairs of which a third match; the two kinds' means lie `apart` standard deviations from each other."""
    labels = (rng.random(count) < 1 / 3).astype(np.int64)
    return 0.2 + 0.05 * (apart * labels + rng.normal(size=count)), labels


def test_the_precision_holds_on_other_pairs() -> None:
    reached = {0: [], 1: []}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        high, low = find_thresholds(*made_up(rng, 300, apart=3), 0.9)
        cosine, labels = made_up(rng, 20_000, apart=3)
        assert high is not None and low is not None and low < high
        reached[1].append(labels[cosine >= high].mean())
        reached[0].append(1 - labels[cosine <= low].mean())
    for precision in reached.values():
        assert np.mean(precision) >= 0.9 and np.mean(np.array(precision) >= 0.9) >= 0.7


def test_similarity_that_says_nothing_gets_no_threshold() -> None:
    rng = np.random.default_rng(0)
    assert find_thresholds(*made_up(rng, 300, apart=0), 0.9) == (None, None)
    assert find_thresholds(np.array([0.9, 0.8, 0.1]), np.array([1, 1, 0]), 0.9) == (None, None)  # too few to be sure
    assert find_thresholds(np.array([]), np.array([]), 0.9) == (None, None)


def test_the_widest_range_that_is_pure_enough() -> None:
    cosine = np.concatenate([np.linspace(0.5, 1, 30), np.linspace(0, 0.4, 30)])
    labels = np.repeat([1, 0], 30)
    high, low = find_thresholds(cosine, labels, 0.94)
    assert 0.4 < high <= 0.5 + 1e-9 and low < high  # 30 of 30: no threshold takes in what is labelled otherwise
    assert low == pytest.approx(0.4)
    assert lower_bound(np.array([30]), np.array([30])) == pytest.approx(0.2 ** (1 / 31))  # beta(31, 1): x ** 31 = 0.2


@pytest.fixture
def corpus() -> tuple[list[ReviewPairs], EmbeddingTable, EmbeddingTable, dict[tuple[str, str], int]]:
    """400 reviews of one sentence and two photos: the first shows what is said; and the truth."""
    rng = np.random.default_rng(0)
    reviews, said, shown, truth = [], {}, {}, {}
    for i in range(400):
        reviews.append(ReviewPairs(f"r{i}", f"b{i % 9}", {0: "s"}, [f"p{i}-0", f"p{i}-1"]))
        said[f"r{i}:0"] = rng.normal(size=16)
        for j, like in enumerate((1.0, 0.0)):
            shown[f"p{i}-{j}"] = like * said[f"r{i}:0"] + rng.normal(0, 0.8, 16)
            truth[f"r{i}:0", f"p{i}-{j}"] = 1 - j

    def table(vectors: dict[str, np.ndarray]) -> EmbeddingTable:
        rows = np.stack([v / np.linalg.norm(v) for v in vectors.values()])
        return EmbeddingTable(list(vectors), rows.astype(np.float16), "toy")

    return reviews, table(said), table(shown), truth


def people(reviews: list[ReviewPairs], truth: dict[tuple[str, str], int], last_test: int) -> AnnotationSet:
    """Labels of these reviews; the last ones are the test split, the second photo of the first is disputed."""
    rows = [
        (f"{r.review_id}:0", p, r.review_id, [1, 1], truth[f"{r.review_id}:0", p]) for r in reviews for p in r.photo_ids
    ]
    split = {r.review_id: "train" if i < len(reviews) - last_test else "test" for i, r in enumerate(reviews)}
    tie = Dispute(LabelledPair("r0", "s", 0, "p0-1", (1, 0), ("a", "b")), "r0:0", None)
    return AnnotationSet(
        annotation_table([row for row in rows if row[1] != "p0-1"], "people", split), "people", disputes=[tie]
    )


def test_weak_labels_fill_up_the_training_split_and_leave_peoples_alone(corpus) -> None:
    reviews, said, shown, truth = corpus
    few = people(reviews[:80], truth, last_test=20)
    result, calibration = fill_up(few, reviews, said, shown, precision=0.9)
    assert result.source == "people+weak"
    assert result.table.slice(0, few.table.num_rows).equals(few.table)
    weak = result.table.slice(few.table.num_rows).to_pylist()
    assert len(weak) == calibration.added > 300 and {(row["source"], row["split"]) for row in weak} == {
        ("weak", "train")
    }
    answered = {f"r{i}" for i in range(80)}
    assert not answered & {row["review_id"] for row in weak}  # the tie and the test reviews are among them
    for kind in (0, 1):
        right = [truth[row["sentence_id"], row["photo_id"]] == kind for row in weak if row["label"] == kind]
        assert np.mean(right) >= 0.9
    assert "people agree with" in calibration.lines()[0] and set(calibration.figures()) >= {"weak_high", "weak_low"}


def test_no_sure_threshold_adds_nothing_and_says_so(corpus) -> None:
    reviews, said, shown, truth = corpus
    few = people(reviews[:8], truth, last_test=2)
    result, calibration = fill_up(few, reviews, said, shown, precision=0.99)
    assert result.table.equals(few.table) and result.source == "people"
    assert all("label more pairs or lower annotate.weak_precision" in line for line in calibration.lines())
