"""Sentences of a review: the unit that is annotated, matched to photos, and kept as an explanation."""

import re
from collections.abc import Iterable
from functools import lru_cache

import spacy
from spacy.language import Language

# Google Local: "(Translated by Google) <English> (Original) <as written>"
TRANSLATED = re.compile(
    r"^\s*\(Translated by Google\)\s*(?P<english>.*?)\s*\(Original\)\s*(?P<original>.*)$", re.DOTALL
)


@lru_cache(maxsize=1)
def _splitter() -> Language:
    pipeline = spacy.blank("en")
    pipeline.add_pipe("sentencizer")
    pipeline.max_length = 10_000_000
    return pipeline


def english_part(text: str) -> str:
    """The English part of a text that Google translated; any other text as it is."""
    found = TRANSLATED.match(text)
    return found["english"] if found else text


def split_sentences(texts: Iterable[str]) -> list[list[str]]:
    """Sentences of each text, by spaCy's rule-based sentencizer; blank ones and bare punctuation are left out."""
    cleaned = (" ".join(english_part(text).split()) for text in texts)
    return [[s for s in _sentences(doc)] for doc in _splitter().pipe(cleaned, batch_size=256)]


def _sentences(doc: spacy.tokens.Doc) -> Iterable[str]:
    for span in doc.sents:
        sentence = span.text.strip()
        if any(character.isalnum() for character in sentence):
            yield sentence
