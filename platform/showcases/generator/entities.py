"""Hard negatives for CCL: explanations whose entities are replaced by others ("the sushi" -> "the burger").

Paper section 4.3, Eq. 8. Computed once before training, from a seed; articles, number and case stay correct English.
"""

import re
import zlib
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from showcases.generator.lexicon import Finder, Span

TRIES = 20  # random draws before the pool is searched
ARTICLE = re.compile(r"\b(an?)(\s+)$", re.IGNORECASE)
SENTENCE_START = re.compile(r"(^|[.!?\n]\W*)$")


def replace_entities(
    texts: Sequence[str], finder: Finder, seed: int, names: Sequence[str] | None = None
) -> list[str | None]:
    """Each text with all its entities replaced by entities of other texts.

    Args:
        texts: explanations; their entities, drawn as often as they occur, are the replacements.
        finder: of entities.
        seed: of the draws; a text's result does not depend on the other texts' draws.
        names: of the texts, combined with the seed; by default their indices.

    Returns:
        A changed version of each text, or None if it has no entity that can be replaced.
    """
    spans = list(finder.find(texts))
    pool = EntityPool(texts, spans)
    names = [str(number) for number in range(len(texts))] if names is None else names
    return [pool.replace(text, found, draws(seed, name)) for text, found, name in zip(texts, spans, names, strict=True)]


def draws(seed: int, name: str) -> np.random.Generator:
    """Random generator for one text, the same on every worker."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


class EntityPool:
    """The entities of a corpus by grammatical number, with how often each occurs."""

    def __init__(self, texts: Sequence[str], spans: Sequence[Sequence[Span]]) -> None:
        forms: dict[str, Counter[str]] = defaultdict(Counter)  # by case-folded entity: its spellings inside sentences
        counts: Counter[str] = Counter()
        for text, found in zip(texts, spans, strict=True):
            for start, end in found:
                entity = text[start:end]
                counts[entity.casefold()] += 1
                if not _starts_sentence(text, start):
                    forms[entity.casefold()][entity] += 1
        self.forms = {key: forms[key].most_common(1)[0][0] if forms[key] else key for key in counts}
        self.keys: dict[bool, list[str]] = {plural: [] for plural in (False, True)}
        for key in sorted(counts):
            self.keys[is_plural(key)].append(key)
        self.sums = {plural: list(accumulate(counts[key] for key in keys)) for plural, keys in self.keys.items()}

    def replace(self, text: str, spans: Sequence[Span], rng: np.random.Generator) -> str | None:
        """The text with each entity replaced consistently; None if nothing could be replaced."""
        present = {text[start:end].casefold() for start, end in spans}
        chosen = {key: self._other(key, present, rng) for key in sorted(present)}
        parts, last = [], 0
        for start, end in spans:
            other = chosen[text[start:end].casefold()]
            if other is None:
                continue
            before = with_article(text[last:start], other)
            parts += [before, _capital(other) if _starts_sentence(text, start) else other]
            last = end
        changed = "".join((*parts, text[last:]))
        return changed if parts and changed.casefold() != text.casefold() else None

    def _other(self, key: str, present: set[str], rng: np.random.Generator) -> str | None:
        keys, sums = self.keys[is_plural(key)], self.sums[is_plural(key)]
        for _ in range(TRIES):
            other = keys[bisect_right(sums, int(rng.integers(sums[-1])))]
            if other not in present:
                return self.forms[other]
        others = [other for other in keys if other not in present]
        return self.forms[others[int(rng.integers(len(others)))]] if others else None


def is_plural(entity: str) -> bool:
    """Whether its last word looks like an English plural ("fries", not "glass")."""
    word = entity.rstrip().casefold()
    return len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is"))


def with_article(before: str, entity: str) -> str:
    """The text before an entity, with a final "a" or "an" adapted to the entity."""
    match = ARTICLE.search(before)
    if match is None:
        return before
    article = "an" if _begins_with_vowel(entity) else "a"
    if match[1][0].isupper():
        article = article.capitalize()
    return before[: match.start()] + article + match[2]


def _begins_with_vowel(entity: str) -> bool:
    word = entity.casefold()
    if word.startswith(("hour", "honest", "heir")):
        return True
    return word.startswith(("a", "e", "i", "o", "u")) and not word.startswith(("uni", "use", "eu", "one"))


def _starts_sentence(text: str, start: int) -> bool:
    return SENTENCE_START.search(text[:start]) is not None


def _capital(entity: str) -> str:
    return entity[:1].upper() + entity[1:]
