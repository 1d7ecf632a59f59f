"""Dawid-Skene against expectation maximisation written out, and against careless annotators that majority follows."""

import math

import numpy as np
import pytest

from showcases.distillation.aggregation import dawid_skene, find_consensus
from showcases.distillation.labelstudio import LabelledPair
from showcases.errors import ConfigError

CAREFUL, CARELESS = 0.95, 0.55


def labelled(votes: list[dict[str, int]]) -> list[LabelledPair]:
    return [LabelledPair("r", "s", i, "p", tuple(v.values()), tuple(v)) for i, v in enumerate(votes)]


@pytest.fixture(scope="module")
def crowd() -> tuple[list[dict[str, int]], list[int]]:
    """200 pairs: two careful people, three careless ones, each of whom skips a tenth; and the truth."""
    rng = np.random.default_rng(4)
    truth = [int(rng.random() < 0.3) for _ in range(200)]
    right = {"ann": CAREFUL, "ben": CAREFUL, "x": CARELESS, "y": CARELESS, "z": CARELESS}
    votes = [{who: t if rng.random() < p else 1 - t for who, p in right.items() if rng.random() < 0.9} for t in truth]
    return votes, truth


def literal_em(votes: list[dict[str, int]], rounds: int) -> tuple[list[float], dict[str, tuple[float, float]]]:
    """Dawid and Skene's equations 2.3 to 2.5 for two classes, in loops, from the shares of votes on."""
    posterior = [sum(v.values()) / len(v) for v in votes]
    people = sorted({who for v in votes for who in v})
    says: dict[tuple[str, int, int], float] = {}
    for _ in range(rounds):
        prior = sum(posterior) / len(posterior)
        for who in people:
            for true in (0, 1):
                weight = [(p if true else 1 - p, v[who]) for p, v in zip(posterior, votes, strict=True) if who in v]
                for said in (0, 1):
                    says[who, said, true] = sum(w for w, vote in weight if vote == said) / sum(w for w, _ in weight)
        one = [prior * math.prod(says[who, vote, 1] for who, vote in v.items()) for v in votes]
        none = [(1 - prior) * math.prod(says[who, vote, 0] for who, vote in v.items()) for v in votes]
        posterior = [a / (a + b) for a, b in zip(one, none, strict=True)]
    return posterior, {who: (says[who, 1, 1], says[who, 0, 0]) for who in people}


def test_equals_expectation_maximisation_written_out(crowd) -> None:
    votes = [v for v in crowd[0] if v]
    labels, confusion = dawid_skene(labelled(votes))
    posterior, expected = literal_em(votes, rounds=300)
    assert labels == [int(p > 0.5) for p in posterior]
    for who, figures in expected.items():
        assert confusion[who] == pytest.approx(figures, abs=0.01)


def test_finds_the_careless_whom_majority_follows(crowd) -> None:
    votes, truth = crowd
    pairs = labelled(votes)
    majority, weighed = find_consensus(pairs), find_consensus(pairs, "dawid-skene")

    def right(labels: list[int | None]) -> float:
        return float(np.mean([label == t for label, t in zip(labels, truth, strict=True)]))

    assert right(weighed.labels) > 0.9 > right(majority.labels)
    outvoted = [i for i, v in enumerate(votes) if len(v) == 5 and v["ann"] == v["ben"] != v["x"] == v["y"] == v["z"]]
    assert outvoted and all(weighed.labels[i] == votes[i]["ann"] != majority.labels[i] for i in outvoted)
    both = [(a, b) for a, b in zip(majority.labels, weighed.labels, strict=True) if b is not None]
    assert weighed.changed == sum(a is not None and a != b for a, b in both) >= len(outvoted)
    assert weighed.settled == sum(a is None for a, _ in both) > 0
    skill = {s.annotator: s for s in weighed.skills}
    assert min(skill["ann"].rejects, skill["ben"].rejects) > 0.9 > 0.7 > max(skill[w].rejects for w in "xyz")
    assert min(skill["ann"].agreeing, skill["ben"].agreeing) > max(skill[w].agreeing for w in "xyz")
    assert "labels differ from the majority" in weighed.lines()[0] and "finds" in weighed.lines()[1]


def test_what_cannot_be_told_apart_stays_undecided() -> None:
    assert find_consensus(labelled([{"a": 1, "b": 0}, {"a": 1}])).labels == [None, 1]
    even = labelled([{"a": 1, "b": 0}, {"a": 0, "b": 1}])  # two people who mirror each other
    assert find_consensus(even, "dawid-skene").labels == [None, None]
    assert find_consensus(labelled([{"a": 0, "b": 0}]), "dawid-skene").labels == [0]
    assert find_consensus([], "dawid-skene").labels == []
    with pytest.raises(ConfigError, match="dawid-skene"):
        find_consensus(even, "median")  # type: ignore[arg-type]
