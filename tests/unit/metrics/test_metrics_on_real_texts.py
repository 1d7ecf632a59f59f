"""Metrics of 200 pairs of real reviews, emoji, other languages and all, against the libraries' own command lines."""

import json
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from nltk.translate.nist_score import corpus_nist

from showcases.metrics.meteor import MeteorScorer, _one_line
from showcases.metrics.text import bleu, distinct, nist, tokenize

PAIRS = 200


@pytest.fixture(scope="module")
def pairs(shared_data: Path) -> tuple[list[str], list[str]]:
    """Neighbouring reviews of one restaurant: one stands for what is generated, the other for the reference."""
    by_business: dict[str, list[str]] = {}
    with (shared_data / "google-local" / "image_review_all.json").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row.get("review_text"):
                by_business.setdefault(row["business_id"], []).append(_one_line(row["review_text"]))
    found = [pair for texts in by_business.values() for pair in pairwise(texts)][:PAIRS]
    assert len(found) == PAIRS
    return [one for one, _ in found], [other for _, other in found]


@pytest.fixture
def folder(pairs: tuple[list[str], list[str]], tmp_path: Path) -> Path:
    for name, texts in zip(("hyp", "ref"), pairs, strict=True):
        (tmp_path / name).write_text("\n".join(texts) + "\n", encoding="utf-8")
    return tmp_path


def printed(folder: Path, *command: str) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_bleu_is_that_of_sacrebleus_command_line(pairs, folder: Path) -> None:
    told = printed(folder, sys.executable, "-m", "sacrebleu", "ref", "-i", "hyp", "-lc", "-tok", "13a", "-w", "8")
    answer = json.loads(told)
    assert bleu(*pairs, 4).value == pytest.approx(answer["score"] / 100, abs=1e-9)
    precision = float(re.match(r"([\d.]+)/", answer["verbose_score"])[1])
    penalty = float(re.search(r"BP = ([\d.]+)", answer["verbose_score"])[1])
    assert bleu(*pairs, 1).value == pytest.approx(precision * penalty / 100, abs=1e-3)  # printed as 12.3/… and 0.988


@pytest.mark.server
@pytest.mark.skipif(shutil.which("java") is None, reason="METEOR is a Java program")
def test_meteor_is_that_of_the_jars_command_line(pairs, folder: Path) -> None:
    import pycocoevalcap.meteor

    jar = Path(pycocoevalcap.meteor.__path__[0]) / "meteor-1.5.jar"
    told = printed(folder, "java", "-Xmx2G", "-jar", str(jar), "hyp", "ref", "-l", "en", "-norm")
    with MeteorScorer() as meteor:
        value = meteor(*pairs).value
    assert value == pytest.approx(float(re.search(r"Final score:\s+([\d.]+)", told)[1]), abs=1e-9)


def test_nist_is_nltks_and_distinct_is_what_grep_counts(pairs, folder: Path) -> None:
    hypotheses, references = (tokenize(texts) for texts in pairs)
    assert nist(*pairs).value == pytest.approx(corpus_nist([[words] for words in references], hypotheses, 4), rel=1e-9)
    (folder / "words").write_text("\n".join(word for words in hypotheses for word in words) + "\n", encoding="utf-8")
    kinds, count = (int(printed(folder, "sh", "-c", f"LC_ALL=C {c} words | wc -l")) for c in ("sort -u", "cat"))
    assert distinct(pairs[0], 1).value == pytest.approx(kinds / count, rel=1e-12)
