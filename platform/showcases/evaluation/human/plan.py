"""Create a study from examples and texts: assigned, shuffled, blinded, with attention checks in between."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from showcases.errors import StudyError
from showcases.evaluation.human.config import StudyConfig
from showcases.evaluation.human.deal import deal, ordered
from showcases.evaluation.human.key import Item, Study, Subject
from showcases.evaluation.human.questions import NAMES, SCALE

SCRAMBLED_WORDS = 12  # minimum, so that no random order is a sentence
SCRAMBLED_AT_MOST = 2  # highest passing expressiveness of scrambled words


def plan(
    subjects: Sequence[Subject], models: Sequence[str], config: StudyConfig, made_of: Mapping[str, Any] | None = None
) -> Study:
    """Create every judge's tasks; deterministic.

    Args:
        subjects: the sample; each has a text of every model.
        models: ours last.

    Raises:
        StudyError: fewer than two models, one of them twice, or no example.
    """
    if len(models) < 2 or len(set(models)) < len(models):
        raise StudyError(f"models {list(models)}: name two or more, all different, the one to be shown better last")
    if not subjects:
        raise StudyError("no example has a text of every model; do the texts belong to this workspace?")
    random = np.random.default_rng([config.seed, 5])
    given = deal(len(subjects), len(models), config.judges, config.per_item, random)
    items = []
    for judge in range(config.judges):
        texts = [
            _of_model(subjects[example], models[model], judge + 1, random)
            for model, example in ordered(given[:, :, judge], random)
        ]
        number = round(config.checks * len(texts))
        checks = [_check(subjects, kind, judge + 1, random) for kind in range(max(number, config.checks > 0))]
        items += _between(texts, checks, random)
    return Study(_token(random), tuple(models), config.judges, tuple(items), dict(made_of or {}))


def _of_model(subject: Subject, model: str, judge: int, random: np.random.Generator) -> Item:
    text = " ".join(subject.texts[model].split())
    return Item(_token(random), judge, "text", text, subject.photos, subject.review_id, model)


def _check(subjects: Sequence[Subject], number: int, judge: int, random: np.random.Generator) -> Item:
    """An attention check; kinds alternate, and photos are those of any example."""
    subject = subjects[int(random.integers(len(subjects)))]
    if number % 2 == 0:
        ratings = {name: int(random.choice(SCALE)) for name in NAMES}
        expected = {name: (rating, rating) for name, rating in ratings.items()}
        text = (
            "This is no recommendation. To show that you read the texts, please choose {} for the first question "
            "and {} for the second."
        ).format(*ratings.values())
        return Item(_token(random), judge, "instructed", text, subject.photos, subject.review_id, expected=expected)
    expected = {NAMES[0]: (SCALE[0], SCRAMBLED_AT_MOST)}  # the words may match the photos
    text = _scrambled(subjects, random)
    return Item(_token(random), judge, "scrambled", text, subject.photos, subject.review_id, expected=expected)


def _scrambled(subjects: Sequence[Subject], random: np.random.Generator) -> str:
    """Scrambled words of several texts: no model writes that badly, and no attentive judge rates it expressive."""
    words: list[str] = []
    for number in random.permutation(len(subjects)).tolist():
        words += [word for text in subjects[number].texts.values() for word in text.lower().split()]
        if len(words) >= 2 * SCRAMBLED_WORDS:
            break
    picked = random.permutation(len(words))[:SCRAMBLED_WORDS].tolist()
    return " ".join(words[number].strip(".,;:!?\"'()") for number in picked)


def _between(texts: Sequence[Item], checks: Sequence[Item], random: np.random.Generator) -> list[Item]:
    """Insert one check at a random position in each of equally long segments, after the segment's first text."""
    result: list[Item] = []
    for check, stretch in zip(checks, np.array_split(np.arange(len(texts)), max(1, len(checks))), strict=False):
        place = int(random.integers(1, len(stretch) + 1)) if len(stretch) else 0
        result += [*(texts[i] for i in stretch[:place]), check, *(texts[i] for i in stretch[place:])]
    return result or list(texts)


def _token(random: np.random.Generator) -> str:
    return random.bytes(8).hex()
