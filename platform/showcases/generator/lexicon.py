"""Find the entities of a text: noun chunks of a spaCy parser, or else phrases mined from the corpus.

Entities are what CCL's hard negatives replace (paper section 4.3).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Protocol

from showcases.errors import ConfigError
from showcases.extras import imports_of

with imports_of("ray"):
    import spacy
    from spacy.lang.en.stop_words import STOP_WORDS
    from spacy.language import Language
    from spacy.matcher import PhraseMatcher
    from spacy.tokens import Doc, Token
    from spacy.util import filter_spans

POSSESSIVES = frozenset(("my", "your", "his", "her", "its", "our", "their"))
DETERMINERS = POSSESSIVES | frozenset(
    ("a", "an", "the", "this", "that", "these", "those", "some", "any", "every", "each", "no", "another", "such")
)
OBJECTS = (DETERMINERS | {"me", "us", "him", "them", "you", "it"}) - {"that"}  # the word before one of these is a verb
LONGEST = 3  # words per mined phrase
Span = tuple[int, int]  # [start, end) in characters


class Finder(Protocol):
    """Finds entities, without their determiners."""

    def find(self, texts: Iterable[str]) -> Iterator[list[Span]]:
        """Non-overlapping spans of each text, in order."""


def make_finder(spacy_model: str | None, texts: Sequence[str]) -> Finder:
    """Noun chunks if a pipeline with a parser is named, else a lexicon mined from `texts`.

    Raises:
        ConfigError: the pipeline can't be loaded.
    """
    if spacy_model is not None:
        try:
            pipeline = spacy.load(spacy_model)
        except OSError as error:
            raise ConfigError(f"spacy_model {spacy_model!r}: neither an installed pipeline nor a folder") from error
        if "parser" in pipeline.pipe_names:
            return NounChunks(pipeline)
    return Lexicon(mine_phrases(texts))


class NounChunks:
    """Noun chunks of a spaCy pipeline with a parser, without leading determiners; pronouns are skipped."""

    def __init__(self, pipeline: Language) -> None:
        self.pipeline = pipeline

    def find(self, texts: Iterable[str]) -> Iterator[list[Span]]:
        for doc in self.pipeline.pipe(texts):
            spans = []
            for chunk in doc.noun_chunks:
                start = chunk.start
                while start < chunk.end and (doc[start].lower_ in DETERMINERS or not doc[start].is_alpha):
                    start += 1
                noun = doc[start : chunk.end]
                if any(token.is_alpha and not token.is_stop for token in noun):
                    spans.append((noun.start_char, noun.end_char))
            yield spans


class Lexicon:
    """Finds occurrences of given phrases, ignoring case; of overlapping ones the longest.

    Args:
        phrases: in lower case, words separated by a blank.
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        self.phrases = tuple(phrases)
        self.pipeline = _words()
        self.matcher = PhraseMatcher(self.pipeline.vocab, attr="LOWER")
        self.matcher.add("ENTITY", [self.pipeline.make_doc(phrase) for phrase in self.phrases])

    def find(self, texts: Iterable[str]) -> Iterator[list[Span]]:
        for doc in self.pipeline.pipe(texts):
            spans = filter_spans(self.matcher(doc, as_spans=True))
            yield [(span.start_char, span.end_char) for span in spans]


def mine_phrases(texts: Iterable[str], min_count: int = 2) -> list[str]:
    """Mine noun-like phrases of up to three words: those between a determiner and the next stop word or punctuation.

    "the spicy ramen was" gives "spicy ramen". Three more rules exclude verbs and adjectives: the word before an
    object is a verb ("the waiter brought us"); a
    phrase's last word occurs alone after a determiner somewhere ("the ramen"), or the phrase without it is not one;
    a single word is not mostly the beginning of a longer phrase ("the best …").

    Args:
        texts: of the training split.
        min_count: rarer phrases are dropped.

    Returns:
        Phrases in lower case, the most frequent first.
    """
    counts: Counter[tuple[str, ...]] = Counter()
    begins: Counter[str] = Counter()  # first words after a determiner
    for doc in _words().pipe(texts):
        for phrase in _after_determiners(doc):
            begins[phrase[0]] += 1
            if len(phrase) <= LONGEST:
                counts[phrase] += 1

    def is_entity(phrase: tuple[str, ...]) -> bool:
        if len(phrase) == 1:
            return 3 * counts[phrase] >= begins[phrase[0]]
        return counts[phrase[-1:]] > 0 or counts[phrase[:-1]] == 0

    ranked = [(-count, phrase) for phrase, count in counts.items() if count >= min_count and is_entity(phrase)]
    return [" ".join(phrase) for _, phrase in sorted(ranked)]


@lru_cache(maxsize=1)
def _words() -> Language:
    return spacy.blank("en")


def _after_determiners(doc: Doc) -> Iterator[tuple[str, ...]]:
    for token in doc:
        if token.lower_ not in DETERMINERS:
            continue
        words: list[str] = []
        for following in doc[token.i + 1 : token.i + 3 + LONGEST]:
            if not _is_word(following):
                if following.lower_ in OBJECTS and len(words) > 1:
                    words.pop()
                break
            words.append(following.lower_)
        if words:
            yield tuple(words)


def _is_word(token: Token) -> bool:
    return token.is_alpha and len(token) > 1 and token.lower_ not in STOP_WORDS and token.lower_ not in DETERMINERS
