"""Sample showcases of test users: selected photos and generated texts, beside the users' own."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from showcases.evaluation.examples import Example
from showcases.generator.citations import cite
from showcases.metrics.alignment import Scores
from showcases.photos import PhotoError, take_in
from showcases.storage.embeddings import EmbeddingTable

THUMBNAIL = 320  # px, the shorter side
SNIPPETS, SNIPPET_LENGTH = 3, 160  # past reviews, and characters of each


@dataclass(frozen=True)
class Photo:
    """A photo on the page.

    Attributes:
        liked_more: share of the restaurant's other photos that are less relevant to the user, 0 to 1.
        own: whether the user posted it.
        src: data URI; empty in gallery.json.
    """

    photo_id: str
    liked_more: float | None = None
    own: bool = False
    src: str = ""


@dataclass(frozen=True)
class Sentence:
    """A sentence and the classifier's probability, 0 to 1, that each photo matches it."""

    text: str
    scores: list[float]

    def best(self, threshold: float) -> list[tuple[int, float]]:
        """(photo index, score) of the photos that it describes, best first."""
        (citation,) = cite(np.array([self.scores]), threshold)
        return [(number, self.scores[number]) for number in citation.photos]


@dataclass(frozen=True)
class Text:
    """One system's text; scores are against the photos shown."""

    system: str
    sentences: list[Sentence]


@dataclass(frozen=True)
class Showcase:
    """One test user at one business."""

    user_id: str
    business_id: str
    photos: list[Photo]
    texts: list[Text]
    own_text: str
    own_photos: list[Photo]
    past_reviews: list[str]

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the photos' bytes."""
        photos, own = ([replace(photo, src="") for photo in part] for part in (self.photos, self.own_photos))
        return asdict(replace(self, photos=photos, own_photos=own))


def pick_users(examples: Sequence[Example], count: int, seed: int) -> list[int]:
    """Indices of up to `count` examples, one per user, those with past reviews first, drawn by seed."""
    order = np.random.default_rng([seed, 3]).permutation(len(examples)).tolist()
    order.sort(key=lambda number: not examples[number].history)  # stable: random order within each group
    by_user: dict[str, int] = {}
    for number in order:
        by_user.setdefault(examples[number].user_id, number)
    return list(by_user.values())[:count]


def make_showcase(
    example: Example,
    texts: Mapping[str, tuple[Sequence[str], np.ndarray]],
    liked_more: Sequence[float],
    past: Mapping[str, str],
    images: EmbeddingTable,
    scores: Scores,
) -> Showcase:
    """Create one entry of the gallery; `with_photos` adds the pictures.

    Args:
        texts: by system, its sentences for this example and their vectors (m, d).
        liked_more: for each photo shown.
        past: texts of past reviews by id.
        scores: the classifier's `score_all`.
    """
    vectors = images.gather(example.shown)
    own = set(example.own_photos)
    return Showcase(
        user_id=example.user_id,
        business_id=example.business_id,
        photos=[Photo(name, float(share), name in own) for name, share in zip(example.shown, liked_more, strict=True)],
        texts=[Text(name, _scored(said, text, vectors, scores)) for name, (said, text) in texts.items()],
        own_text=example.explanation,
        own_photos=[Photo(name, own=True) for name in example.own_photos],
        past_reviews=[_snippet(past[name]) for name in example.history if past.get(name)][:SNIPPETS],
    )


def with_photos(showcase: Showcase, read: Callable[[str], bytes | None]) -> Showcase:
    """Add each photo as a small data URI; empty for a photo without bytes."""

    def filled(photos: Sequence[Photo]) -> list[Photo]:
        return [replace(photo, src=data_uri(read(photo.photo_id))) for photo in photos]

    return replace(showcase, photos=filled(showcase.photos), own_photos=filled(showcase.own_photos))


def data_uri(data: bytes | None) -> str:
    """A JPEG of at most THUMBNAIL px as a data URI, so that the page needs no network."""
    if not data:
        return ""
    try:
        small = take_in(data, THUMBNAIL).data
    except PhotoError:
        return ""
    return "data:image/jpeg;base64," + base64.b64encode(small).decode()


def _scored(said: Sequence[str], text: np.ndarray, photos: np.ndarray, scores: Scores) -> list[Sentence]:
    if not said:
        return []
    table = scores(text, photos)  # (sentences, photos)
    return [Sentence(sentence, [float(x) for x in row]) for sentence, row in zip(said, table, strict=True)]


def _snippet(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= SNIPPET_LENGTH else text[:SNIPPET_LENGTH].rsplit(" ", 1)[0] + " …"
