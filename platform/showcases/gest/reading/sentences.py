"""Split reviews into sentences, the unit that is annotated, matched to photos, and used in explanations."""

import contextlib
import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from showcases.extras import imports_of

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc

# Google Local marks the two halves of a text that it translated, in either order.
MARKER = re.compile(r"\((?P<kind>Translated by Google|Original)\)", re.IGNORECASE)

# After a full stop of Chinese, Japanese, Khmer or Burmese, unless another or a closing mark follows.
UNSPACED_STOP = re.compile(r"(?<=[。！？｡។။])(?![。！？｡។။」』）〉》】”’\"')\s]|$)")


@lru_cache(maxsize=1)
def _splitter() -> "Language":
    with imports_of("ray", "studies"):
        import spacy  # lazy: slow to import, and most importers of this module don't split

    pipeline = spacy.blank("en")
    pipeline.add_pipe("sentencizer")
    pipeline.max_length = 10_000_000
    return pipeline


def english_part(text: str) -> str:
    """The English part of a text that Google translated; any other text unchanged.

    The forms are "(Translated by Google) English (Original) other", the same halves the other way round, and "other
    (Translated by Google) English" without the second mark. If the translation is blank the original is returned.
    """
    marks = list(MARKER.finditer(text))
    translated = next((mark for mark in marks if mark["kind"].lower() != "original"), None)
    if translated is None:
        return text
    before, after = text[: translated.start()], text[translated.end() :]
    originals = [mark for mark in marks if mark["kind"].lower() == "original"]
    following = next((mark for mark in originals if mark.start() > translated.start()), None)
    if following is not None and not before.strip():
        english, other = text[translated.end() : following.start()], text[following.end() :]
    else:
        first = next((mark for mark in originals if mark.start() < translated.start()), None)
        english, other = after, before if first is None else before[first.end() :]
    return english.strip() or other.strip()


def split_sentences(texts: Iterable[str], forget: bool = False) -> list[list[str]]:
    """Sentences of each text, by spaCy's rule-based sentencizer; blank ones and bare punctuation are dropped.

    A line break ends a sentence, as does a full stop in a script without spaces.

    Args:
        forget: clear spaCy's vocabulary of these texts afterwards, so that memory stays flat over millions of texts;
            not safe while another thread splits.
    """
    pieces = [_pieces(english_part(text)) for text in texts]
    splitter = _splitter()
    with splitter.memory_zone() if forget else contextlib.nullcontext():
        docs = splitter.pipe((piece for of_text in pieces for piece in of_text), batch_size=256)
        return [[sentence for _ in of_text for sentence in _sentences(next(docs))] for of_text in pieces]


def _pieces(text: str) -> list[str]:
    """Parts of a text at sentence boundaries known in advance, with whitespace collapsed; drops blank ones."""
    parts = (part for line in text.splitlines() for part in UNSPACED_STOP.split(line))
    return [cleaned for part in parts if (cleaned := " ".join(part.split()))]


def _sentences(doc: "Doc") -> Iterable[str]:
    for span in doc.sents:
        sentence = span.text.strip()
        if any(character.isalnum() for character in sentence):
            yield sentence
