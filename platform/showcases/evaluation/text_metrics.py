"""Metrics of generated texts against references (paper section 5.1), each with the library and tokenizer behind it.

The choice of library moves METEOR and NIST by tens of percent, so a figure without them is worth nothing.
"""

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from types import TracebackType
from typing import Any

import numpy as np
from nltk.translate.nist_score import corpus_nist
from sacrebleu.metrics import BLEU
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

TOKENIZER = "sacrebleu 13a, lower case"
NIST_ORDER = 4


@dataclass(frozen=True)
class Figure:
    """A value and all that must be known to compare it.

    Attributes:
        value: on the metric's own scale (shares are 0 to 1); None where it can't be had, and `note` says why.
        n: examples behind it.
        library: with its version.
        tokenizer: how texts were cut into words, where that matters.
    """

    value: float | None
    n: int
    library: str
    tokenizer: str = ""
    note: str = ""


def tokenize(texts: Sequence[str]) -> list[list[str]]:
    """Words and punctuation marks of each text, in lower case."""
    cut = Tokenizer13a()
    return [cut(text.lower()).split() for text in texts]


def bleu(hypotheses: Sequence[str], references: Sequence[str], order: int) -> Figure:
    """Corpus BLEU with n-grams up to `order` and the brevity penalty, 0 to 1 (BLEU-1: order 1)."""
    metric = BLEU(lowercase=True, tokenize="13a", max_ngram_order=order)
    value = metric.corpus_score(list(hypotheses), [list(references)]).score / 100
    return Figure(value, len(hypotheses), f"sacrebleu {version('sacrebleu')}", TOKENIZER)


def nist(hypotheses: Sequence[str], references: Sequence[str]) -> Figure:
    """Corpus NIST-4: information-weighted n-gram precision, 0 and up without a bound.

    Orders that no hypothesis is long enough for add nothing; nltk would divide by zero there (nltk issue 3444).
    """
    words = tokenize(hypotheses)
    order = min(NIST_ORDER, max((len(text) for text in words), default=0))
    value = corpus_nist([[text] for text in tokenize(references)], words, n=order) if order else 0.0
    return Figure(float(value), len(words), f"nltk {version('nltk')}", TOKENIZER)


def distinct(texts: Sequence[str], order: int) -> Figure:
    """Distinct-n, 0 to 1: different n-grams over all n-grams of the whole corpus.

    Source: Li et al. 2016, "A diversity-promoting objective function", section 5.2. It falls as the corpus grows:
    compare it for the same number of texts only.
    """
    ngrams = [tuple(words[i : i + order]) for words in tokenize(texts) for i in range(len(words) - order + 1)]
    return Figure(len(set(ngrams)) / len(ngrams) if ngrams else 0.0, len(texts), "showcases", TOKENIZER)


def mean_length(texts: Sequence[str]) -> Figure:
    """Words a text, as cut by white space."""
    value = float(np.mean([len(text.split()) for text in texts])) if texts else 0.0
    return Figure(value, len(texts), "showcases", "white space")


class MeteorScorer:
    """METEOR 1.5 for English: its Java program, started once for all texts and ended with the `with` block."""

    def __init__(self) -> None:
        self._meteor: Any = None

    def __enter__(self) -> "MeteorScorer":
        if shutil.which("java"):
            from pycocoevalcap.meteor.meteor import Meteor

            self._meteor = Meteor()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._meteor is not None:
            process = self._meteor.meteor_p
            process.kill()
            with contextlib.suppress(OSError):
                process.communicate()  # closes the pipes and waits

    def __call__(self, hypotheses: Sequence[str], references: Sequence[str]) -> Figure:
        """Corpus METEOR, 0 to 1 (statistics are summed over the corpus, as its command line does)."""
        if self._meteor is None:
            return Figure(None, len(hypotheses), "pycocoevalcap", note="n/a (no Java)")
        expected = {number: [_one_line(text)] for number, text in enumerate(references)}
        found = {number: [_one_line(text)] for number, text in enumerate(hypotheses)}
        value = self._meteor.compute_score(expected, found)[0] if hypotheses else 0.0
        library = f"METEOR 1.5 of pycocoevalcap {version('pycocoevalcap')}"
        return Figure(float(value), len(hypotheses), library, "METEOR's own (-norm)")


def _one_line(text: str) -> str:
    """The text in a form that METEOR's line protocol carries: one line, no field marks."""
    return " ".join(text.replace("|||", " ").split())


def text_figures(hypotheses: Sequence[str], references: Sequence[str], meteor: MeteorScorer) -> dict[str, Figure]:
    """All figures of a system's texts against the references, by name."""
    return {
        "BLEU-1": bleu(hypotheses, references, 1),
        "BLEU-4": bleu(hypotheses, references, 4),
        "METEOR": meteor(hypotheses, references),
        "NIST": nist(hypotheses, references),
        **own_figures(hypotheses),
    }


def own_figures(texts: Sequence[str]) -> dict[str, Figure]:
    """The figures that need no reference: diversity and length."""
    return {"Distinct-1": distinct(texts, 1), "Distinct-2": distinct(texts, 2), "length": mean_length(texts)}
