"""Scores that were kept say the same as the models they were kept of."""

import numpy as np
import pytest

from showcases.errors import ArtifactError
from showcases.evaluation.scores import Scores, compare
from showcases.metrics.bootstrap import Kinds, paired_bootstrap
from showcases.metrics.ranking import hit_statistics
from showcases.metrics.text import bleu

TRUTH = ["the soup was hot and good", "we loved the green garden", "noodles with beef", "a quiet place for lunch"] * 5
GOOD = ["the soup was hot", "we loved the garden", "noodles with beef", "a place for lunch"] * 5
BAD = ["the food was cold", "they hated a garden", "rice with beef", "a loud place"] * 5


def of(texts: list[str], names: list[str]) -> Scores:
    figure = bleu(texts, TRUTH, 1)
    return Scores.of({}, names, {"BLEU-1": figure.statistic, "CLIP-Align": None, "Distinct-2": Kinds(texts)})


def test_kept_scores_compare_as_the_texts_do() -> None:
    names = [f"r{number}" for number in range(20)]
    kept = Scores.from_json(of(GOOD, names).to_json(), "here")
    backwards = Scores({}, names[::-1], {"BLEU-1": of(BAD, names).rows["BLEU-1"][::-1]})
    examples, found = compare(kept, backwards, draws=200)
    good, bad = bleu(GOOD, TRUTH, 1), bleu(BAD, TRUTH, 1)
    assert good.value is not None and bad.value is not None and good.statistic and bad.statistic
    assert examples == 20 and set(found) == {"BLEU-1"}
    assert found["BLEU-1"].value == pytest.approx(good.value - bad.value)
    assert found["BLEU-1"] == paired_bootstrap(good.statistic, bad.statistic, draws=200)


def test_only_examples_that_both_have_are_compared() -> None:
    one = Scores.of({}, ["a", "b", "c"], {"f1": hit_statistics(np.array([1, 2, 0]), np.array([2, 2, 2]), 3)["f1"]})
    other = Scores.of({}, ["c", "b"], {"f1": hit_statistics(np.array([0, 1]), np.array([2, 2]), 3)["f1"]})
    examples, found = compare(one, other, draws=10)
    # of b and c: precision (2/3 + 0)/2 = 1/3, recall 1/2, F1 2/5; the other's 1/6, 1/4, 1/5
    assert examples == 2 and found["f1"].value == pytest.approx(2 / 5 - 1 / 5)
    assert compare(one, Scores({}, ["z"], one.rows))[1] == {}


def test_what_is_no_scores_is_refused() -> None:
    with pytest.raises(ArtifactError, match="there: invalid scores .*jobs.evaluate"):
        Scores.from_json("[]", "there")
