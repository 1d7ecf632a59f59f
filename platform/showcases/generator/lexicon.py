"""Where the entities of a text are: a spaCy parser's noun chunks, or phrases mined from the corpus where there is none.

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
OBJECTS = (DETERMINERS | {"me", "us", "him", "them", "you", "it"}) - {"that"}  # a verb stands before one of these
LONGEST = 3  # words of a mined phrase
Span = tuple[int, int]  # first character, and the one after the last


class Finder(Protocol):
    """Finds entities; determiners are no part of them."""

    def find(self, texts: Iterable[str]) -> Iterator[list[Span]]:
        """Spans of each text, in order, none overlapping."""


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
    """Noun chunks of a spaCy pipeline with a parser, without leading determiners; pronouns are none."""

    def __init__(self, pipeline: Language) -> None:
        self.pipeline = pipeline

    def find(self, texts: Iterable[str]) -> Iterator[list[Span]]:
        for doc in self.pipeline.pipe(texts):
            spans = []
            for chunk in doc.noun_chunks:
                start = chunk.start
                while start < chunk.end and (doc[start].lower_ in DETERMINERS or not doc[start].is_alpha):
                    start += 1
                kept = doc[start : chunk.end]
                if any(token.is_alpha and not token.is_stop for token in kept):
                    spans.append((kept.start_char, kept.end_char))
            yield spans


class Lexicon:
    """Occurrences of given phrases, in any case, the longest where they overlap.

    Args:
        phrases: in lower case, words parted by a blank.
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
    """Noun-like phrases of up to three words: what stands between a determiner and the next stop word or mark.

    "the spicy ramen was" gives "spicy ramen". Verbs and adjectives slip in, so three more rules hold: the word before
    an object is a verb ("the waiter brought us"); a phrase's last word stands alone after a determiner somewhere ("the
    ramen"), or the phrase without it is none; a single word does not mostly go on ("the best …").

    Args:
        texts: of the training split.
        min_count: phrases seen less often are left out.

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

    kept = [(-count, phrase) for phrase, count in counts.items() if count >= min_count and is_entity(phrase)]
    return [" ".join(phrase) for _, phrase in sorted(kept)]


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
