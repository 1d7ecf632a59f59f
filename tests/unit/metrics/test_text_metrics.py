"""Golden figures: worked by hand in the test, or printed by the libraries' own command lines."""

import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from showcases.metrics import meteor as meteor_module
from showcases.metrics.meteor import MeteorScorer, text_figures
from showcases.metrics.text import bleu, distinct, mean_length, nist, tokenize

HYPOTHESES = ["The ramen was great!", "Crisp pizza, nice view | good", "", "cozy place with\ntwo terraces ||| really"]
REFERENCES = [
    "Great ramen, and the egg too.",
    "The pizza was crisp and the view nice.",
    "Lovely.",
    "A cozy spot with two nice terraces.",
]


def test_tokens_are_lower_case_words_and_marks() -> None:
    assert tokenize(["Great Ramen, it's $5.50!"]) == [["great", "ramen", ",", "it's", "$", "5.50", "!"]]


def test_bleu_1_by_hand() -> None:
    # hypothesis: 6 words, "the" twice but once in the reference, so 5 of 6 count; reference 7 words
    figure = bleu(["The cat sat on the mat"], ["the cat is on the mat today"], 1)
    assert figure.value == pytest.approx(5 / 6 * math.exp(1 - 7 / 6), rel=1e-6)
    figure = bleu(["the the the the"], ["the cat the mat"], 1)  # clipped at two
    assert figure.value == pytest.approx(2 / 4)
    assert figure.library.startswith("sacrebleu 2") and figure.n == 1 and "13a" in figure.tokenizer


def test_bleu_equals_sacrebleus_command_line(tmp_path: Path) -> None:
    hypotheses = [" ".join(text.split()) for text in HYPOTHESES]
    (tmp_path / "hyp").write_text("\n".join(hypotheses) + "\n")
    (tmp_path / "ref").write_text("\n".join(REFERENCES) + "\n")
    command = [sys.executable, "-m", "sacrebleu", "ref", "-i", "hyp", "-lc", "-f", "text", "-w", "6"]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    score, first, penalty = re.search(r"= ([\d.]+) ([\d.]+)/.*BP = ([\d.]+)", printed).groups()
    assert bleu(hypotheses, REFERENCES, 4).value == pytest.approx(float(score) / 100, abs=1e-7)
    assert bleu(hypotheses, REFERENCES, 1).value == pytest.approx(float(first) / 100 * float(penalty), abs=1e-3)


def test_nist_by_hand() -> None:
    # Reference "a b a c": 4 words; info(a) = log2(4/2) = 1, info(b) = info(c) = log2(4/1) = 2;
    # info(ab) = log2(count(a) / count(ab)) = 1, info(ba) = log2(1/1) = 0, info(ac) = 1.
    # Hypothesis "a b c c": unigrams a, b and one c match: (1 + 2 + 2) / 4; bigrams only "ab": 1 / 3; then 0.
    # Equal lengths: no penalty.
    assert nist(["a b c c"], ["a b a c"]).value == pytest.approx(5 / 4 + 1 / 3)


def test_nist_length_penalty_by_hand() -> None:
    # 2 of 4 words: penalty exp(b log^2(1/2)) with b such that a ratio of 2/3 gives 1/2.
    # Unigrams (1 + 2) / 2, bigram "ab" 1 / 1.
    b = math.log(0.5) / math.log(1.5) ** 2
    assert nist(["a b"], ["a b a c"]).value == pytest.approx((3 / 2 + 1) * math.exp(b * math.log(0.5) ** 2))


def test_nist_of_texts_too_short_for_its_order() -> None:
    assert nist(["a"], ["a b a c"]).value > 0
    assert nist(["", ""], ["a b", "c"]).value == 0.0


def test_distinct_by_hand() -> None:
    # a b a | b a: unigrams 5, different 2; bigrams ab, ba, ba: 3, different 2
    assert distinct(["a b a", "B a"], 1).value == pytest.approx(2 / 5)
    assert distinct(["a b a", "B a"], 2).value == pytest.approx(2 / 3)
    assert distinct([""], 2).value == 0.0


def test_mean_length() -> None:
    assert mean_length(["one two", "", "three  four five six"]).value == pytest.approx(2.0)


@pytest.mark.server
@pytest.mark.skipif(shutil.which("java") is None, reason="METEOR is a Java program")
def test_meteor_equals_its_jars_command_line_and_its_process_ends() -> None:
    """The command line (`java -jar meteor-1.5.jar hyp ref -l en -norm`) printed the figure of these four pairs."""
    with pytest.raises(KeyError), MeteorScorer() as meteor:  # one start: the program reads for ten seconds first
        process = meteor._meteor.meteor_p
        assert meteor(HYPOTHESES, REFERENCES).value == pytest.approx(0.24678211618117968, abs=1e-9)
        same = meteor(REFERENCES, REFERENCES)  # the same process again
        assert same.value > 0.99 and same.statistic(np.ones((2, 4), int)) == pytest.approx([same.value] * 2)
        mixed = [REFERENCES[0], *HYPOTHESES[1:]]  # a perfect match counts no fragments in the sum
        given, wanted = ({i: [meteor_module._one_line(text)] for i, text in enumerate(p)} for p in (mixed, REFERENCES))
        theirs = meteor._meteor.compute_score(wanted, given)[0]
        assert meteor(mixed, REFERENCES).value == pytest.approx(theirs, abs=1e-12)
        drawn = [0, 0, 3, 1]
        again = meteor([mixed[i] for i in drawn], [REFERENCES[i] for i in drawn])
        assert meteor(mixed, REFERENCES).statistic(np.array([[2, 1, 0, 1]]))[0] == pytest.approx(again.value, abs=1e-12)
        raise KeyError
    assert process.poll() is not None


def test_without_java_the_cell_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meteor_module.shutil, "which", lambda name: None)
    with MeteorScorer() as meteor:
        figures = text_figures(HYPOTHESES, REFERENCES, meteor)
    assert figures["METEOR"].value is None and figures["METEOR"].note == "n/a (no Java)"
    assert {name for name, figure in figures.items() if figure.value is None} == {"METEOR"}
    assert np.isfinite([f.value for f in figures.values() if f.value is not None]).all()
