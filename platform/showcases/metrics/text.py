"""Metrics of generated texts against references (paper section 5.1), each with its library and tokenizer.

METEOR and NIST differ by tens of percent between libraries, so a figure needs both.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version

import numpy as np
from nltk.translate.nist_score import corpus_nist, nist_length_penalty
from sacrebleu.metrics import BLEU
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from showcases.metrics.bootstrap import Kinds, Statistic, Sums, interval, ratio, whole

TOKENIZER = "sacrebleu 13a, lower case"
NIST_ORDER = 4


@dataclass(frozen=True)
class Figure:
    """A value with its provenance.

    Attributes:
        value: on the metric's own scale (shares are 0 to 1); None if unavailable, with the reason in `note`.
        n: number of examples.
        library: with its version.
        tokenizer: of the words, if relevant.
        interval: low and high end of its 95 % interval over the examples.
        p: two-sided, for a difference.
        statistic: for resampling.
    """

    value: float | None
    n: int
    library: str
    tokenizer: str = ""
    note: str = ""
    interval: tuple[float, float] | None = None
    p: float | None = None
    statistic: Statistic | None = field(default=None, compare=False, repr=False)


def with_interval(figure: Figure, draws: int, seed: int) -> Figure:
    """Add the interval, if the figure can be resampled."""
    if figure.value is None or figure.statistic is None:
        return figure
    return replace(figure, interval=interval(figure.statistic, draws, seed))


def tokenize(texts: Sequence[str]) -> list[list[str]]:
    """Words and punctuation marks of each text, in lower case."""
    cut = Tokenizer13a()
    return [cut(text.lower()).split() for text in texts]


def bleu(hypotheses: Sequence[str], references: Sequence[str], order: int) -> Figure:
    """Corpus BLEU with n-grams up to `order` and the brevity penalty, 0 to 1 (BLEU-1: order 1)."""
    metric = BLEU(lowercase=True, tokenize="13a", max_ngram_order=order)
    value = metric.corpus_score(list(hypotheses), [list(references)]).score / 100
    statistic = bleu_statistic(hypotheses, references, order)
    return Figure(value, len(hypotheses), f"sacrebleu {version('sacrebleu')}", TOKENIZER, statistic=statistic)


def bleu_statistic(hypotheses: Sequence[str], references: Sequence[str], order: int) -> Sums:
    """Rows of `order` clipped matches, `order` n-gram counts, the two lengths; sacrebleu makes BLEU of their sums."""
    metric = BLEU(lowercase=True, tokenize="13a", max_ngram_order=order, effective_order=True)  # avoids a warning
    scores = [metric.sentence_score(text, [other]) for text, other in zip(hypotheses, references, strict=True)]
    rows = [[*score.counts, *score.totals, score.sys_len, score.ref_len] for score in scores]
    return Sums(np.array(rows).reshape(len(rows), 2 * order + 2), partial(bleu_of_sums, order))


def bleu_of_sums(order: int, sums: np.ndarray) -> np.ndarray:
    """(B,) BLEU of sums (B, 2 * order + 2) of the rows of `bleu_statistic`."""
    found = []
    for row in sums.tolist():
        counts, totals, (length, wanted) = row[:order], row[order : 2 * order], row[2 * order :]
        score = BLEU.compute_bleu(counts, totals, length, wanted, smooth_method="exp", max_ngram_order=order)
        found.append(score.score / 100)
    return np.array(found)


def nist(hypotheses: Sequence[str], references: Sequence[str]) -> Figure:
    """Corpus NIST-4: information-weighted n-gram precision, at least 0, unbounded.

    Orders longer than every hypothesis contribute 0, where nltk would divide by zero (nltk issue 3444).
    """
    words, expected = tokenize(hypotheses), tokenize(references)
    order = min(NIST_ORDER, max((len(text) for text in words), default=0))
    value = corpus_nist([[text] for text in expected], words, n=order) if order else 0.0
    statistic = nist_statistic(words, expected)
    return Figure(float(value), len(words), f"nltk {version('nltk')}", TOKENIZER, statistic=statistic)


def nist_statistic(words: Sequence[Sequence[str]], expected: Sequence[Sequence[str]]) -> Sums:
    """Rows of 4 matches' information, 4 n-gram counts, the two lengths.

    An n-gram's information is computed once from all references, and not changed by resampling.
    """
    information = _information(expected)
    rows = []
    for text, other in zip(words, expected, strict=True):
        matches, counts = [], []
        for order in range(1, NIST_ORDER + 1):
            found = Counter(ngrams(text, order))
            both = found & Counter(ngrams(other, order))
            matches.append(sum(information[gram] * count for gram, count in both.items()))
            counts.append(found.total())
        rows.append([*matches, *counts, len(text), len(other)])
    return Sums(np.array(rows, float).reshape(len(rows), 2 * NIST_ORDER + 2), _nist_of_sums)


def _information(references: Sequence[Sequence[str]]) -> dict[tuple[str, ...], float]:
    """log2 of the count of the n-gram without its last word over the n-gram's count (Doddington 2002)."""
    counts = Counter(gram for text in references for order in range(1, NIST_ORDER + 1) for gram in ngrams(text, order))
    total = sum(len(text) for text in references)
    return {gram: float(np.log2((counts[gram[:-1]] if gram[1:] else total) / n)) for gram, n in counts.items()}


def _nist_of_sums(sums: np.ndarray) -> np.ndarray:
    matches, counts = sums[:, :NIST_ORDER], sums[:, NIST_ORDER : 2 * NIST_ORDER]
    precision = np.divide(matches, counts, out=np.zeros_like(matches), where=counts > 0).sum(1)
    penalty = [nist_length_penalty(wanted, length) if wanted else 0.0 for length, wanted in sums[:, -2:].tolist()]
    return precision * np.array(penalty)


def distinct(texts: Sequence[str], order: int) -> Figure:
    """Distinct-n, 0 to 1: distinct n-grams over all n-grams of the corpus.

    Source: Li et al. 2016, "A diversity-promoting objective function", section 5.2. It decreases with the size of the
        corpus: compare it only for the same number of texts.
    """
    return kinds_figure([ngrams(words, order) for words in tokenize(texts)], TOKENIZER)


def kinds_figure(things: Sequence[Sequence[object]], tokenizer: str) -> Figure:
    """Share of distinct things, 0 if there are none."""
    statistic = Kinds(things)
    count = int(statistic.lengths.sum())
    value = statistic.different / count if count else 0.0
    return Figure(value, len(things), "showcases", tokenizer, statistic=statistic)


def mean_figure(values: np.ndarray, library: str, tokenizer: str, nothing: str) -> Figure:
    """Mean of one value per example (n,), ignoring NaN; `nothing` is the note if no value is left."""
    counted = ~np.isnan(values)
    rows = list(zip(np.where(counted, values, 0.0), counted, strict=True))
    return ratio_figure(rows, library, tokenizer, nothing)


def ratio_figure(rows: Sequence[tuple[float, float]], library: str, tokenizer: str, nothing: str) -> Figure:
    """One sum over another; n is the number of examples that contribute to the second."""
    statistic = Sums(np.array(rows, float).reshape(-1, 2), ratio)
    n = int((statistic.rows[:, 1] > 0).sum())
    if not n:
        return Figure(None, n, library, tokenizer, nothing)
    return Figure(whole(statistic), n, library, tokenizer, statistic=statistic)


def ngrams(words: Sequence[str], order: int) -> list[tuple[str, ...]]:
    """All runs of `order` words."""
    return [tuple(words[i : i + order]) for i in range(len(words) - order + 1)]


def mean_length(texts: Sequence[str]) -> Figure:
    """Mean words per text, split at white space."""
    lengths = np.array([len(text.split()) for text in texts], float)
    return mean_figure(lengths, "showcases", "white space", "n/a (no texts)")


def own_figures(texts: Sequence[str]) -> dict[str, Figure]:
    """The metrics without references: diversity and length."""
    return {"Distinct-1": distinct(texts, 1), "Distinct-2": distinct(texts, 2), "length": mean_length(texts)}
