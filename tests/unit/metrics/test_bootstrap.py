"""Resampled statistics against the libraries on resampled texts, and intervals against what arithmetic says."""

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from nltk.translate.nist_score import corpus_nist
from sacrebleu.metrics import BLEU

from showcases.metrics.bootstrap import (
    Kinds,
    Sums,
    draw_weights,
    interval,
    paired_bootstrap,
    ratio,
    replicates,
    stretch_of,
    whole,
)
from showcases.metrics.text import (
    Figure,
    bleu,
    bleu_statistic,
    distinct,
    mean_figure,
    mean_length,
    nist,
    tokenize,
    with_interval,
)

WORDS = ["the", "a", "good", "ramen", "pizza", "view", "nice", "crisp", "was", "and", "egg", "terrace", ",", "."]


def texts(seed: int, n: int = 40, least: int = 0) -> list[str]:
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(least, 15))) for _ in range(n)]


HYPOTHESES, REFERENCES = texts(0), texts(1, least=3)


def mean_of(values) -> Sums:
    return mean_figure(np.array(values, float), "", "", "").statistic


@pytest.mark.parametrize("order", [1, 4])
def test_bleu_of_summed_counts_is_sacrebleus_of_the_texts(order: int) -> None:
    figure = bleu(HYPOTHESES, REFERENCES, order)
    assert whole(figure.statistic) == figure.value
    metric = BLEU(lowercase=True, tokenize="13a", max_ngram_order=order)
    weights = next(draw_weights(40, 5, 3, leave_out=False))
    for weight, value in zip(weights, figure.statistic(weights), strict=True):
        drawn = np.repeat(np.arange(40), weight)
        score = metric.corpus_score([HYPOTHESES[i] for i in drawn], [[REFERENCES[i] for i in drawn]]).score
        assert value == score / 100


def test_nist_of_summed_counts_is_nltks() -> None:
    figure = nist(HYPOTHESES, REFERENCES)
    assert whole(figure.statistic) == pytest.approx(figure.value, rel=1e-12)
    # Every text three times tells as much a word as once: nltk on the longer corpus gives the same.
    tripled = corpus_nist([[text] for text in tokenize(REFERENCES)] * 3, tokenize(HYPOTHESES) * 3, n=4)
    assert figure.statistic(np.full((1, 40), 3))[0] == pytest.approx(tripled, rel=1e-12)
    short = nist(["a", ""], ["a b a c", "a"])
    assert whole(short.statistic) == pytest.approx(short.value)
    assert whole(nist([""], ["a"]).statistic) == 0.0


@pytest.mark.parametrize("order", [1, 2])
def test_distinct_of_drawn_examples_is_distinct_of_their_texts(order: int) -> None:
    figure = distinct(HYPOTHESES, order)
    assert whole(figure.statistic) == pytest.approx(figure.value)
    for weights in draw_weights(40, 5, 0, leave_out=True):
        drawn = [[HYPOTHESES[i] for i in np.flatnonzero(weight)] for weight in weights]
        assert figure.statistic(weights) == pytest.approx([distinct(part, order).value for part in drawn])
        assert {len(part) for part in drawn} == {32}


def test_a_means_interval_is_its_standard_error() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    low, high = interval(mean_of(values), 2000)
    error = values.std() / math.sqrt(400)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_leaving_out_spreads_a_mean_as_the_bootstrap_does() -> None:
    shares = (np.random.default_rng(1).random(300) < 0.3).astype(float)
    statistic = mean_of(shares)
    left_out = Sums(statistic.rows, ratio, stretch_of(300))
    assert interval(left_out, 2000) == pytest.approx(interval(statistic, 2000), abs=0.008)  # widths are 0.1


@pytest.mark.parametrize("total", [None, 500])
def test_intervals_of_kinds_are_as_wide_as_new_texts_are_apart(total: int | None) -> None:
    random = np.random.default_rng(0)
    zipf = 1 / np.arange(1, 501)
    corpora = [random.choice(500, (100, 10), p=zipf / zipf.sum()).tolist() for _ in range(120)]
    apart = np.std([whole(Kinds(texts, total)) for texts in corpora])
    ends = [interval(Kinds(texts, total), 100) for texts in corpora[:40]]
    error = np.mean([high - low for low, high in ends]) / (2 * 1.96)
    assert 0.85 * apart < error < 1.4 * apart


def test_intervals_of_kinds_lie_about_the_value_and_end_at_one() -> None:
    figure = with_interval(distinct(HYPOTHESES, 2), 300, 0)
    low, high = figure.interval
    assert low < figure.value < high
    assert figure.value < replicates(figure.statistic, 300).mean()  # fewer texts, relatively more kinds
    assert with_interval(distinct([f"w{i}" for i in range(30)], 1), 100, 0).interval == (1.0, 1.0)


def test_what_has_no_interval() -> None:
    assert interval(mean_of([1.0])) is None and interval(mean_of([1.0, 2.0]), draws=0) is None
    assert interval(Sums(np.zeros((3, 2)), ratio)) is None
    assert mean_figure(np.full(2, np.nan), "", "", "none").note == "none"
    nothing = Figure(None, 3, "lib", note="n/a")
    assert with_interval(nothing, 10, 0) is nothing and with_interval(Figure(1.0, 3, "lib"), 10, 0).interval is None


def test_the_same_seed_draws_the_same() -> None:
    statistic = mean_length(HYPOTHESES).statistic
    assert interval(statistic, 150, 1) == interval(statistic, 150, 1) != interval(statistic, 150, 2)
    assert len(replicates(statistic, 150)) == 150


def test_paired_test_knows_a_difference_from_noise() -> None:
    random = np.random.default_rng(0)
    hard = random.normal(0, 10, 100)  # examples differ far more than the systems do
    one, other = mean_of(hard + 1 + random.normal(0, 1, 100)), mean_of(hard)
    found = paired_bootstrap(one, other)
    assert found.p == pytest.approx(1 / 1001) and 0 < found.low < found.value < found.high
    assert interval(one)[0] < whole(other)  # unpaired, the intervals overlap
    same = paired_bootstrap(other, other)
    assert (same.value, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)
    back = paired_bootstrap(other, one)
    assert (back.value, back.p) == (-found.value, found.p)
    assert paired_bootstrap(one.rows[:, 0], other.rows[:, 0]) == found  # values of the examples do as well
    assert paired_bootstrap(mean_length(HYPOTHESES), mean_length(HYPOTHESES)).value == 0.0  # and figures
    with pytest.raises(ValueError, match="paired"):
        paired_bootstrap(one, mean_of([1.0, 2.0]))


def test_p_is_the_normal_distributions_where_that_holds() -> None:
    random = np.random.default_rng(4)
    one, other = random.normal(-0.1, 2, 300), random.normal(0, 2, 300)
    gain = one - other
    z = abs(gain.mean()) / (gain.std() / math.sqrt(300))
    found = paired_bootstrap(mean_of(one), mean_of(other), 4000)
    assert 0.01 < found.p < 0.99 and found.p == pytest.approx(math.erfc(z / math.sqrt(2)), abs=0.025)


def test_replicates_agree_with_sacrebleus_command_line(tmp_path: Path) -> None:
    base = [text if i % 3 else HYPOTHESES[i] for i, text in enumerate(REFERENCES)]
    other = [text if i % 3 != 1 else HYPOTHESES[i] + " ." for i, text in enumerate(REFERENCES)]
    for name, lines in (("ref", REFERENCES), ("base", base), ("other", other)):
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "sacrebleu", "ref", "-i", "base", "other", "-lc", "--paired-bs", "-f", "text"]
    printed = subprocess.run([*command, "-w", "4"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    centre, half = (float(number) for number in re.search(r"base . [\d.]+ \(([\d.]+) ± ([\d.]+)\)", printed).groups())
    their_p = float(re.search(r"\(p = ([\d.]+)\)", printed)[1])
    statistics = [bleu_statistic(text, REFERENCES, 4) for text in (base, other)]
    # Both draw 1,000 times, but not alike: a mean and a quantile are off by some percent.
    found, others = (replicates(statistic) * 100 for statistic in statistics)
    low, high = interval(statistics[0])
    assert found.mean() == pytest.approx(centre, abs=1.5) and (high - low) * 50 == pytest.approx(half, rel=0.2)
    away = np.abs(found - others)  # their p, from our replicates
    real = abs(whole(statistics[0]) - whole(statistics[1])) * 100
    assert (away - away.mean() > real).mean() == pytest.approx(their_p, abs=0.06)
