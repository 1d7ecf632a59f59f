"""Simulated annotators of (sentence, photo) pairs, with individual error rates and lenience.

Written in Label Studio's export format, so that real annotations use the same code path.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from showcases_demo.model import Match, Photo, Review, Sentence, World

ERROR_RATE = (0.02, 0.08)  # share of errors on clear pairs, min and max
LENIENCE = (0.2, 0.8)  # share of ambiguous pairs labelled as a match, min and max
SKIP_RATE = (0.005, 0.03)  # share of skipped pairs, min and max


@dataclass(frozen=True)
class Annotator:
    """A simulated person; the rates are shares of pairs, 0 to 1."""

    number: int  # from 1, Label Studio's completed_by
    error_rate: float
    lenience: float
    skip_rate: float

    def answer(self, rng: np.random.Generator, truth: Match) -> str | None:
        """ "match", "no match", or None for a skipped pair."""
        if rng.random() < self.skip_rate:
            return None
        if truth == "ambiguous":
            return "match" if rng.random() < self.lenience else "no match"
        wrong = rng.random() < self.error_rate
        return "match" if (truth == "match") != wrong else "no match"


def make_annotators(count: int, seed: int) -> tuple[Annotator, ...]:
    """`count` annotators with rates drawn within the module's bounds."""
    rng = np.random.default_rng([seed, 4])
    draws = [(rng.uniform(*ERROR_RATE), rng.uniform(*LENIENCE), rng.uniform(*SKIP_RATE)) for _ in range(count)]
    return tuple(Annotator(i + 1, *map(float, rates)) for i, rates in enumerate(draws))


def sampled_reviews(world: World) -> list[Review]:
    """Sample the reviews to annotate: rows without planted faults; fewer if there are not enough."""
    plain = [r for r in world.reviews if not r.fault and not any(photo.fault for photo in r.photos)]
    order = np.random.default_rng([world.config.seed, 5]).permutation(len(plain))
    return [plain[i] for i in sorted(order[: world.config.annotated_reviews])]


def pairs(world: World) -> Iterator[tuple[Review, int, Sentence, Photo]]:
    """Every (review, sentence index, sentence, photo) of the sampled reviews."""
    for review in sampled_reviews(world):
        for index, sentence in enumerate(review.sentences):
            for photo in review.photos:
                yield review, index, sentence, photo


def label_tasks(world: World) -> list[dict[str, Any]]:
    """A Label Studio JSON export: one task per pair, one annotation per person."""
    people = make_annotators(world.config.annotators, world.config.seed)
    rng = np.random.default_rng([world.config.seed, 6])
    return [
        {
            "id": number,
            "data": {
                "image": photo.photo_id,
                "photo_id": photo.photo_id,
                "review_id": world.review_id(review),
                "sentence": sentence.text,
                "sentence_index": index,
            },
            "annotations": [_annotation(rng, who, number, sentence.truth(photo), len(people)) for who in people],
        }
        for number, (review, index, sentence, photo) in enumerate(pairs(world), 1)
    ]


def _annotation(rng: np.random.Generator, who: Annotator, task: int, truth: Match, people: int) -> dict[str, Any]:
    answer = who.answer(rng, truth)
    number = (task - 1) * people + who.number
    choice = {"from_name": "match", "to_name": "image", "type": "choices", "value": {"choices": [answer]}}
    return {
        "id": number,
        "completed_by": who.number,
        "result": [] if answer is None else [{"id": f"c{number:09d}", **choice}],
        "was_cancelled": answer is None,
        "ground_truth": False,
        "lead_time": round(float(rng.gamma(3.0, 1.5)), 2),  # seconds
    }
