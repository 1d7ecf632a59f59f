"""Coverage metrics: features of the corpus, keywords of the user's own text, and support by photos.

In addition to the paper's columns: USR and feature coverage as PETER reports them (Li et al. 2021, section 5.2), the
coverage of Figure 6b, and faithfulness by the classifier Φ.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from showcases.errors import ConfigError
from showcases.extras import imports_of
from showcases.generator.citations import cite
from showcases.metrics.alignment import PairScorer
from showcases.metrics.bootstrap import Kinds
from showcases.metrics.text import Figure, kinds_figure, mean_figure, ngrams, ratio_figure, tokenize

if TYPE_CHECKING:
    from spacy.language import Language

PARTS = {"nouns": ("NOUN", "PROPN"), "adjectives": ("ADJ",), "adverbs": ("ADV",)}  # of speech, by Universal tags


def unique_sentences(sentences: Sequence[Sequence[str]]) -> Figure:
    """USR, 0 to 1: distinct sentences over all sentences, compared by words and punctuation, ignoring case.

    It decreases with the size of the corpus, like Distinct-n.
    """
    return kinds_figure([[tuple(words) for words in tokenize(part)] for part in sentences], "spaCy sentencizer")


def feature_coverage(texts: Sequence[str], features: Sequence[str]) -> Figure:
    """FCR, 0 to 1: share of the features (lower case, words separated by blanks) that some text mentions.

    It increases with the number of texts: compare it only for the same number and the same features.
    """
    if not features:
        return Figure(None, len(texts), "showcases", note="n/a (no features)")
    known, longest = set(features), max(len(feature.split()) for feature in features)
    statistic = Kinds([sorted(runs(text, longest) & known) for text in texts], total=len(known))
    library = f"showcases, {len(known)} features"
    return Figure(statistic.different / len(known), len(texts), library, "spaCy blank en", statistic=statistic)


def runs(text: str, longest: int) -> set[str]:
    """All runs of up to `longest` words, in lower case, separated by blanks."""
    words = [token.lower_ for token in _words().make_doc(text)]
    return {" ".join(run) for order in range(1, longest + 1) for run in ngrams(words, order)}


@lru_cache(maxsize=1)
def _words() -> "Language":
    with imports_of("studies", "ray"):
        import spacy  # lazy: slow to import

    return spacy.blank("en")


class Keywords(Protocol):
    """Finds the keywords of texts."""

    name: str

    def __call__(self, texts: Sequence[str]) -> list[dict[str, set[str]]]:
        """Keywords of each text by part of speech, in lower case; the parts are the same for all texts."""


def all_parts(keywords: Sequence[Mapping[str, set[str]]]) -> list[set[str]]:
    """Keywords of each text over all parts of speech."""
    return [set().union(*parts.values()) for parts in keywords]


class ContentWords:
    """Words other than stop words: a fallback for nouns, adjectives and adverbs without a tagger."""

    name = "content words (no tagger)"

    def __call__(self, texts: Sequence[str]) -> list[dict[str, set[str]]]:
        docs = _words().pipe(texts)
        return [{"content words": {t.lower_ for t in doc if t.is_alpha and not t.is_stop}} for doc in docs]


class TaggedWords:
    """Nouns, adjectives and adverbs by a spaCy pipeline.

    Args:
        spacy_model: a name or a folder.

    Raises:
        ConfigError: it can't be loaded, or has no part-of-speech tagger.
    """

    def __init__(self, spacy_model: str) -> None:
        with imports_of("studies", "ray"):
            import spacy

        try:
            self.pipeline = spacy.load(spacy_model)
        except OSError as error:
            raise ConfigError(f"spacy_model {spacy_model!r}: neither an installed pipeline nor a folder") from error
        if not self.pipeline("The food was good.").has_annotation("POS"):
            raise ConfigError(f"spacy_model {spacy_model!r} has no part-of-speech tagger; use one that has, or none")
        self.name = f"nouns, adjectives, adverbs by {self.pipeline.meta.get('name', spacy_model)}"

    def __call__(self, texts: Sequence[str]) -> list[dict[str, set[str]]]:
        docs = self.pipeline.pipe(texts)
        return [
            {part: {t.lower_ for t in doc if t.is_alpha and t.pos_ in tags} for part, tags in PARTS.items()}
            for doc in docs
        ]


def keyword_coverage(texts: Sequence[str], wanted: Sequence[set[str]], name: str) -> Figure:
    """Share of the ground truth's keywords that a text has, 0 to 1: mean over the examples that have keywords.

    Args:
        texts: generated texts.
        wanted: each ground truth's keywords, in lower case.
        name: of the keyword finder.
    """
    shares = np.full(len(texts), np.nan)
    for row, (doc, keys) in enumerate(zip(_words().pipe(texts), wanted, strict=True)):
        if keys:
            shares[row] = len(keys & {token.lower_ for token in doc}) / len(keys)
    return mean_figure(shares, f"showcases, {name}", "spaCy blank en", "n/a (no keywords)")


def faithfulness(sentences: Sequence[np.ndarray], photos: Sequence[np.ndarray], classifier: PairScorer) -> Figure:
    """Share of all sentences that Φ finds supported: some photo reaches its threshold with it.

    Args:
        sentences: of each example (m, d) unit rows.
        photos: of each example (n, d) unit rows; without a photo nothing is supported.
    """
    rows = [
        (sum(one.supported for one in cite(classifier.score_all(text, image), classifier.threshold)), len(text))
        for text, image in zip(sentences, photos, strict=True)
    ]
    library = f"showcases classifier in {classifier.embedding_space}, threshold {classifier.threshold:.3g}"
    return ratio_figure(rows, library, "spaCy sentencizer", "n/a (no sentences)")
