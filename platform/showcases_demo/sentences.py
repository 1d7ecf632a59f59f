"""Write a review: sentences about its photos, about dishes not photographed, and about nothing visible.

A sentence ends in . or ! and has no other stop inside, so a rule-based splitter finds exactly these sentences.
"""

from __future__ import annotations

import numpy as np

from showcases_demo.menu import DISHES, Subject
from showcases_demo.model import Decor, Sentence, User
from showcases_demo.people import choose
from showcases_demo.phrases import FILLERS_BAD, FILLERS_GOOD, SCENE_TALK, VAGUE, VOICES, Voice

HABIT = 0.75  # chance that a phrase is one of the user's favourites
FAVOURITES = 2  # phrases of each kind
EATEN_ONLY = 0.35  # chance of a sentence about each dish that was eaten and not photographed
SAYS_MORE = 0.3  # chance of a second sentence about each of the first two topics
NAMES_VARIANT = 0.8  # chance that the sentence says which version of the dish it was
VAGUE_SHARE = 0.2  # of reviews hold praise that fits any photo of its kind


def write_sentences(
    rng: np.random.Generator, user: User, decor: Decor, rating: int, shown: list[Subject], eaten: list[Subject]
) -> list[Sentence]:
    """The sentences of one review in reading order, at least two.

    Args:
        shown: what its photos show, repeats included.
        eaten: the dishes ordered, photographed or not.
    """
    voice, words = VOICES[user.voice], _Words(rng, user)
    topics = [topic for topic in dict.fromkeys(shown) if rng.random() < voice.chatter]
    topics += [dish for dish in eaten if dish not in shown and rng.random() < EATEN_ONLY]
    if not topics:
        topics = (shown or eaten)[:1]
    body = [_about(words, voice, decor, rating, topic) for topic in topics[:4]]
    body += [_about(words, voice, decor, rating, topic) for topic in topics[:2] if rng.random() < SAYS_MORE]
    for _ in range(int(rng.integers(voice.fillers[0], voice.fillers[1] + 1))):
        body.append(Sentence(_filler(words, rating)))
    if rng.random() < VAGUE_SHARE:
        kind = choose(rng, tuple(VAGUE))
        body.append(Sentence(words.favourite(VAGUE[kind]), vague=kind))
    body = [body[i] for i in rng.permutation(len(body))]
    if rng.random() < 0.4:
        body.insert(0, Sentence(words.favourite(voice.openings)))
    if rng.random() < 0.5 or len(body) < 2:
        body.append(Sentence(words.favourite(voice.closings)))
    return list({sentence.text: sentence for sentence in body}.values())  # without repeated sentences


class _Words:
    """A user's choice among phrases: mostly a few favourites, the same in every review."""

    def __init__(self, rng: np.random.Generator, user: User) -> None:
        self.rng = rng
        self._habits = user.habits

    def favourite(self, options: tuple[str, ...]) -> str:
        if self.rng.random() > HABIT:
            return choose(self.rng, options)
        first = (self._habits + len(options[0])) % len(options)
        return options[(first + int(self.rng.integers(FAVOURITES))) % len(options)]


def _filler(words: _Words, rating: int) -> str:
    good = words.rng.random() < 0.2 * (rating - 0.5)
    return words.favourite(FILLERS_GOOD if good else FILLERS_BAD)


def _about(words: _Words, voice: Voice, decor: Decor, rating: int, topic: Subject) -> Sentence:
    if topic.kind == "scene":
        template = words.favourite(SCENE_TALK[topic.name])
        named = topic if "{accent}" in template else Subject("scene", topic.name)
        return Sentence(template.format(accent=decor.accent), named)
    template = words.favourite(voice.dishes)
    says_variant = "{detail}" in template.lower() or words.rng.random() < NAMES_VARIANT
    text = _capital(template.format(**_fields(words, voice, decor, rating, topic, says_variant)))
    return Sentence(text, topic if says_variant else Subject("dish", topic.name))


def _fields(
    words: _Words, voice: Voice, decor: Decor, rating: int, topic: Subject, says_variant: bool
) -> dict[str, str]:
    """Values of a dish template's placeholders."""
    dish = DISHES[topic.name]
    variant = dish.variants[topic.variant]
    phrase = choose(words.rng, variant.phrases) if says_variant else dish.noun
    plural = dish.plural or phrase.endswith("skewers")
    good = words.rng.random() < 0.22 * (rating - 0.4)
    return {
        "np": phrase,
        "Np": _capital(phrase),
        "noun": dish.noun,
        "detail": variant.detail,
        "Detail": _capital(variant.detail),
        "was": "were" if plural else "was",
        "were": "were",
        "it": "they" if plural else "it",
        "adj": words.favourite(voice.good if good else voice.bad),
        "plate": decor.plate,
        "accent": decor.accent,
    }


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
