"""Ranking figures against sums done by hand, and against the paper's own arithmetic."""

import itertools
import math

import numpy as np
import pytest
import torch

from showcases.metrics.bootstrap import whole
from showcases.metrics.ranking import (
    div_at_k,
    harmonic_mean,
    hit_statistics,
    hits_at_k,
    precision_recall_f1,
    rates_of_hits,
)
from showcases.selector.data import PhotoPool, SelectorBatch, SelectorData, build_split
from showcases.selector.rankers import most_popular, popularity, random_ranker, rank_split, top_k
from showcases.storage.embeddings import EmbeddingTable


@pytest.mark.parametrize(
    ("precision", "recall", "f1"),
    [(4.87, 6.14, 5.43), (25.21, 34.05, 28.97), (15.28, 20.58, 17.54), (25.21, 34.37, 29.09)],
)
def test_f1_is_table_3s(precision: float, recall: float, f1: float) -> None:
    assert harmonic_mean(precision, recall) == pytest.approx(f1, abs=0.005 + 0.005)  # both inputs are rounded


def test_precision_recall_f1_by_hand() -> None:
    chosen = torch.tensor([[0, 1, 2], [3, 0, -1], [2, 1, 0]])
    relevant = torch.tensor([[1, 0, 1, 1], [0, 1, 1, 0], [0, 0, 0, 1]], dtype=torch.bool)
    hits = hits_at_k(chosen, relevant)
    assert hits.tolist() == [2, 0, 0]
    precision, recall, f1 = rates_of_hits(hits.numpy(), relevant.sum(1).numpy(), 3)
    assert precision == pytest.approx((2 / 3) / 3)
    assert recall == pytest.approx((2 / 3) / 3)
    assert f1 == pytest.approx(2 / 9)  # a mean of the three F1s would be 2/9, too; so another one:
    precision, recall, f1 = rates_of_hits(np.array([1, 3]), np.array([1, 6]), 3)
    assert (precision, recall) == (pytest.approx(2 / 3), pytest.approx(3 / 4))
    assert f1 == pytest.approx(2 * (2 / 3) * (3 / 4) / (2 / 3 + 3 / 4))
    assert rates_of_hits(np.array([0]), np.array([2]), 3) == (0.0, 0.0, 0.0)


def test_minus_one_never_hits() -> None:
    assert hits_at_k(torch.tensor([[-1, -1]]), torch.tensor([[True, True]])).tolist() == [0]


def test_diversity_is_the_mean_over_pairs() -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(3, 5, 4))
    chosen = [[0, 3, 4], [2, 1, -1], [4, -1, -1]]
    distances = []
    for vectors, row in zip(images, chosen, strict=True):
        for i, j in itertools.combinations([item for item in row if item >= 0], 2):
            lengths = np.linalg.norm(vectors[i]) * np.linalg.norm(vectors[j])
            distances.append(1 - vectors[i] @ vectors[j] / lengths)
    assert len(distances) == 4
    assert div_at_k(torch.tensor(images), torch.tensor(chosen)) == pytest.approx(np.mean(distances))
    assert math.isnan(div_at_k(torch.tensor(images[:1]), torch.tensor([[0, -1, -1]])))


def test_resampled_figures_are_those_of_the_drawn_examples() -> None:
    hits, relevant = np.array([1, 0, 2, 3]), np.array([2, 1, 4, 3])
    drawn = [0, 0, 3, 2]
    found = hit_statistics(hits, relevant, 3)
    expected = rates_of_hits(hits[drawn], relevant[drawn], 3)
    resampled = [found[name](np.array([[2, 0, 1, 1]]))[0] for name in ("precision", "recall", "f1")]
    assert resampled == pytest.approx(expected)
    assert whole(found["f1"]) == pytest.approx(rates_of_hits(hits, relevant, 3)[2])


def test_top_k() -> None:
    scores = torch.tensor([[0.1, 0.9, 0.5], [0.3, 0.2, 0.9]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert top_k(scores, mask, 2).tolist() == [[1, 2], [0, 1]]
    assert top_k(scores, mask, 4).tolist() == [[1, 2, 0, -1], [0, 1, -1, -1]]


def test_popularity_is_the_mean_cosine_to_others_photos() -> None:
    rng = np.random.default_rng(1)
    images = rng.normal(size=(1, 6, 3))
    mask = np.array([[True] * 5 + [False]])
    owners = np.array([[0, 0, 1, 2, 2, -1]])
    ours = popularity(torch.tensor(images), torch.tensor(mask), torch.tensor(owners))[0]
    unit = images[0] / np.linalg.norm(images[0], axis=1, keepdims=True)
    for i in range(5):
        others = [j for j in range(5) if owners[0, j] != owners[0, i]]
        assert ours[i].item() == pytest.approx(np.mean([unit[i] @ unit[j] for j in others]))


@pytest.fixture
def data() -> SelectorData:
    """One business: user a posted 4 photos of one dish, b to e one each of another, f the example's two."""
    import pyarrow as pa

    dish, other = np.array([1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    posts = [("a", dish)] * 4 + [(user, other) for user in "bcde"] + [("f", other), ("f", dish)]
    vectors = np.stack([vector for _, vector in posts]).astype(np.float16)
    names = [f"p{number}" for number in range(len(posts))]
    table = pa.Table.from_pylist(
        [
            {"photo_id": name, "review_id": f"{user}_x", "user_id": user, "business_id": "x"}
            for name, (user, _) in zip(names, posts, strict=True)
        ]
    )
    pool = PhotoPool(table, EmbeddingTable(names, vectors, "m"))
    row = {"review_id": "f_x", "user_id": "f", "business_id": "x", "photo_ids": names[-2:], "history_review_ids": []}
    return build_split([row], pool, {}, text_dim=2)


def test_nobody_makes_a_dish_popular_alone(data: SelectorData) -> None:
    figures, names = rank_split(data, most_popular, 6)
    assert sorted(names[0]) == ["p4", "p5", "p6", "p7", "p8", "p9"]  # user a's four alike photos come last
    assert (figures.precision, figures.recall) == (pytest.approx(2 / 6), pytest.approx(1.0))
    assert figures.diversity == pytest.approx(5 / 15)  # p9 against each of the others


def test_deployment_has_no_own_photos_and_says_that_nothing_can_be_hit(data: SelectorData) -> None:
    figures, names = rank_split(data, most_popular, 20, protocol="deployment")
    assert sorted(names[0]) == [f"p{number}" for number in range(8)]
    assert (figures.precision, figures.recall, figures.f1) == (None, None, None)
    assert figures.diversity == pytest.approx(16 / 28)  # 4 x 4 of 28 pairs show two dishes
    assert set(figures.statistics) == {"diversity"} and whole(figures.statistics["diversity"]) == figures.diversity


def test_random_is_seeded_and_uniform(data: SelectorData) -> None:
    assert rank_split(data, random_ranker(3), 3)[1] == rank_split(data, random_ranker(3), 3)[1]
    ranker = random_ranker(0)
    counts = np.zeros(10)
    batch: SelectorBatch = data.batch(np.zeros(500, np.int64), "img")
    for item in ranker(batch, 3).flatten().tolist():
        counts[item] += 1
    assert np.abs(counts - 150).max() < 5 * math.sqrt(500 * 0.3 * 0.7)


def test_of_chosen_sets_as_arrays_or_tensors_in_a_batch_or_alone() -> None:
    chosen, relevant = np.array([[4, 0, -1], [1, 2, 3]]), np.zeros((2, 5), bool)
    relevant[0, [0, 1]] = relevant[1, [1, 2, 3]] = True
    expected = (1 / 3 + 1) / 2, (1 / 2 + 1) / 2
    for given in ((chosen, relevant), (torch.tensor(chosen), torch.tensor(relevant))):
        found = precision_recall_f1(*given)
        assert found == pytest.approx((*expected, harmonic_mean(*expected)))
    assert precision_recall_f1(chosen[0], relevant[0]) == pytest.approx((1 / 3, 1 / 2, 0.4))
    assert precision_recall_f1(chosen[:, :1], relevant, 3)[0] == pytest.approx((0 + 1 / 3) / 2)
    images = np.eye(5)
    assert div_at_k(images, chosen[1]) == div_at_k(images[None].repeat(2, 0), chosen) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="without a relevant item"):
        precision_recall_f1(chosen, np.zeros((2, 5), bool))
    with pytest.raises(ValueError, match="do not fit"):
        precision_recall_f1(chosen, relevant[:1])
