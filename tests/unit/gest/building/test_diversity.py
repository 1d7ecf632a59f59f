"""Figure 3's diversities, in closed form from a stream, against the loop over all pairs."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from showcases.gest.building import diversity
from showcases.gest.building.diversity import PairSums, diversities
from showcases.storage.embeddings import EmbeddingTable

Row = tuple[str, str, str]  # photo, user, business


def unit_vectors(n: int, dim: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, dim)) + 0.5
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def photo_table(rows: list[Row]) -> pa.Table:
    return pa.table({name: [row[i] for row in rows] for i, name in enumerate(("photo_id", "user_id", "business_id"))})


def by_pairs(rows: list[Row], table: EmbeddingTable) -> dict[str, float]:
    """The definition: the mean over all pairs, one at a time."""
    pairs: dict[str, list[float]] = {"intra_business": [], "inter_user": [], "intra_user": []}
    vectors = table.gather([row[0] for row in rows]).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for (i, (_, u, b)), (j, (_, v, c)) in itertools.combinations(enumerate(rows), 2):
        if b == c:
            distance = 1 - float(vectors[i] @ vectors[j])
            pairs["intra_business"].append(distance)
            pairs["intra_user" if u == v else "inter_user"].append(distance)
    return {name: float(np.mean(distances)) for name, distances in pairs.items()}


@pytest.mark.parametrize("rows_at_a_time", [1, 7, 4096])
def test_closed_form_equals_the_mean_over_all_pairs(monkeypatch: pytest.MonkeyPatch, rows_at_a_time: int) -> None:
    monkeypatch.setattr(diversity, "ROWS", rows_at_a_time)
    rng = np.random.default_rng(0)
    rows = [(f"p{i}", f"u{rng.integers(6)}", f"b{rng.integers(4)}") for i in range(60)]
    ids = [name for name, _, _ in rows] + ["of no review"]
    order = rng.permutation(len(ids))  # the vectors come in an order of their own
    table = EmbeddingTable([ids[i] for i in order], unit_vectors(61, 8, 1), "m")
    some = rng.random(60) < 0.5
    rows += [("lost", "u1", "b1")]
    members = {"all": np.ones(61, bool), "some": np.append(some, True), "none": np.zeros(61, bool)}
    found = diversities(photo_table(rows), table, members)
    assert found["all"] == pytest.approx(by_pairs(rows[:60], table), abs=1e-6)
    assert found["some"] == pytest.approx(by_pairs([r for r, s in zip(rows, some, strict=False) if s], table), abs=1e-6)
    assert all(np.isnan(value) for value in found["none"].values())


def test_one_photo_has_no_pair() -> None:
    table = EmbeddingTable(["p1"], unit_vectors(1, 4, 0), "m")
    found = diversities(photo_table([("p1", "u1", "b1")]), table, {"raw": np.ones(1, bool)})
    assert all(np.isnan(value) for value in found["raw"].values())


def test_a_group_is_forgotten_once_it_is_complete() -> None:
    """Groups that come one after the other need the memory of one, however many there are."""
    sums = PairSums(np.full(500, 3), 4, np.float64)
    vectors = unit_vectors(1500, 4, 2).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for row in range(1500):
        sums.add(np.array([row // 3]), vectors[row : row + 1].copy(), np.ones(1, np.int64))
    assert len(sums._open) <= 2
    expected = sum(float(v[i] @ v[j]) for v in vectors.reshape(500, 3, 4) for i, j in ((0, 1), (0, 2), (1, 2)))
    assert sums.cosines == pytest.approx(expected, rel=1e-9) and sums.pairs == 1500
