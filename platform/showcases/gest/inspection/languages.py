"""Language identification by script and by spaCy's stop words: no model, no download.

A word votes for each language of its script that has it among its stop words, or for the only language of its script.
The language with most votes wins; with fewer than two votes, as in "Great food", or on a tie, the result is `und`
(undetermined).
"""

import re
import runpy
import unicodedata
from collections import Counter
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from showcases.errors import ConfigError
from showcases.gest.inspection.words import Words, batches, words_of

UNDETERMINED = "und"
WESTERN = ("en", "es", "fr", "de", "it", "pt", "ca", "nl", "sv", "da", "nb", "fi")
OTHER_LATIN = ("pl", "cs", "hu", "ro", "hr", "tr", "id", "vi", "tl")
SCRIPTS: dict[str, tuple[str, ...]] = {  # by first word of a letter's Unicode name
    "LATIN": (*WESTERN, *OTHER_LATIN),
    "CYRILLIC": ("ru", "uk", "bg", "sr", "mk"),
    "ARABIC": ("ar", "fa", "ur"),
    "DEVANAGARI": ("hi", "mr", "ne"),
    "HIRAGANA": ("ja",),
    "KATAKANA": ("ja",),
    "CJK": ("zh",),  # Japanese if the text has kana
    "HANGUL": ("ko",),
    "THAI": ("th",),
    "GREEK": ("el",),
    "HEBREW": ("he",),
    "BENGALI": ("bn",),
    "TAMIL": ("ta",),
    "TELUGU": ("te",),
    "ARMENIAN": ("hy",),
    "GEORGIAN": ("ka",),
}
LANGUAGES = tuple(dict.fromkeys(name for names in SCRIPTS.values() for name in names))
NUMBER = {name: number for number, name in enumerate(LANGUAGES)}
SPEAKING = 2  # minimum votes
# Google Maps: "(Translated by Google) …\n\n(Original)\n…", in either order.
TRANSLATED, ORIGINAL = "(Translated by Google)", "(Original)"


def languages(texts: pa.ChunkedArray) -> np.ndarray:
    """(n,) index in LANGUAGES of each text's language, -1 if undetermined.

    In a text with Google's translation only the first part counts, which is what readers see.
    """
    cut = pc.replace_substring_regex(texts, rf"(?s){re.escape(ORIGINAL)}.*", "")
    cut = pc.replace_substring_regex(cut, r"^\s*" + re.escape(TRANSLATED), "")
    cut = pc.replace_substring_regex(cut, rf"(?s){re.escape(TRANSLATED)}.*", "")
    return np.concatenate([np.zeros(0, np.int64), *(_of_batch(words) for words in batches(cut))])


def histogram(texts: pa.ChunkedArray) -> dict[str, int]:
    """Number of texts per language, most frequent first; `und` is last."""
    found = languages(texts)
    counts = Counter({name: int(np.sum(found == number)) for number, name in enumerate(LANGUAGES)})
    known = {name: count for name, count in counts.most_common() if count}
    undecided = int(np.sum(found < 0))
    return known | ({UNDETERMINED: undecided} if undecided else {})


def translated(texts: pa.ChunkedArray) -> int:
    """Number of texts that contain Google's translation."""
    return int(pc.sum(pc.match_substring(pc.fill_null(texts, ""), TRANSLATED)).as_py() or 0)


def _of_batch(words: Words) -> np.ndarray:
    """(n,) language index of each text, by the rule of this module."""
    word, language = _votes(words.words.dictionary)
    owner = np.repeat(np.arange(len(words.lengths)), words.lengths)
    code = words.words.indices.to_numpy()
    votes = np.zeros((len(words.lengths), len(LANGUAGES)), np.int32)
    for number in np.unique(language):
        speaks = np.zeros(len(words.words.dictionary), bool)
        speaks[word[language == number]] = True
        votes[:, number] = np.bincount(owner[speaks[code]], minlength=len(votes))
    votes[votes[:, NUMBER["ja"]] > 0, NUMBER["zh"]] = 0  # Japanese has Chinese characters, but Chinese has no kana
    first, second = -np.partition(-votes, 1, axis=1)[:, :2].T
    return np.where((first >= SPEAKING) & (first > second), votes.argmax(axis=1), -1)


def _votes(words: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(k,) word and language indices: one pair for each language that a distinct word votes for."""
    stop = stop_words()
    found: list[tuple[int, int]] = []
    for place, word in enumerate(words.to_pylist()):
        written = SCRIPTS.get(_script(word[0]), ())
        found += [(place, NUMBER[name]) for name in (written if len(written) == 1 else stop.get(word, ()))]
    both = np.array(found, np.int64).reshape(-1, 2)
    return both[:, 0], both[:, 1]


@cache
def _script(letter: str) -> str:
    return unicodedata.name(letter, "").partition(" ")[0]


@cache
def stop_words() -> dict[str, tuple[str, ...]]:
    """Languages by stop word, for scripts shared by several languages."""
    found: dict[str, dict[str, None]] = {}
    for name in (name for names in SCRIPTS.values() if len(names) > 1 for name in names):
        for word in words_of(pa.array(sorted(_listed(name)))).words.dictionary.to_pylist():  # "can't" is two words here
            if len(word) > 1:  # single letters are word fragments in any language
                found.setdefault(word, {})[name] = None
    return {word: tuple(names) for word, names in found.items()}


def _listed(language: str) -> set[str]:
    """spaCy's stop words, from the source file: importing the language packages takes ten seconds and torch."""
    package = find_spec("spacy")
    if package is None or not package.submodule_search_locations:
        raise ConfigError("language identification needs spacy's stop words: pip install spacy")
    file = Path(package.submodule_search_locations[0], "lang", language, "stop_words.py")
    words: set[str] = runpy.run_path(str(file))["STOP_WORDS"]
    return words
