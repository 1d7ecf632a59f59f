"""The records of the generated world: restaurants, users, photos, reviews, with their ground truth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from showcases.ids import review_id
from showcases_demo.config import MiniConfig
from showcases_demo.menu import Subject

Match = Literal["match", "no match", "ambiguous"]


@dataclass(frozen=True)
class Decor:
    """How a restaurant looks; every photo taken there shows some of it."""

    sign: str  # the name over the door
    wall: str  # a colour name of drawing.palette.WALLS
    accent: str  # the same, for awnings, chairs, lamps
    plate: str  # a colour name of drawing.palette.PLATES
    table: str  # a kind of drawing.tables.TABLES


@dataclass(frozen=True)
class Restaurant:
    """A business: `menu` maps each dish to its popularity there, > 0, not normalised."""

    business_id: str  # 24 hex digits
    cuisine: str
    menu: dict[str, float]
    popularity: float  # > 0, long-tailed
    quality: float  # stars that it adds to a rating, about -1 to 1
    decor: Decor


@dataclass(frozen=True)
class Shot:
    """A way of taking photos; a user's own, or one photo's (the user's with variation)."""

    warmth: float  # -1 cold to 1 warm light
    brightness: float  # 1 is neutral
    overhead: float  # 0 from the chair, 1 from straight above
    zoom: float  # 1 shows the whole plate
    prop: str  # what lies beside the plate: a name of drawing.props.PROPS, or ""


@dataclass(frozen=True)
class User:
    """A person: tastes (what is ordered), scenes (what else is photographed), shot and voice."""

    user_id: str  # 21 digits
    tastes: dict[str, float]  # dish -> weight, > 0
    variants: dict[str, dict[str, float]]  # dish -> variant -> share, sums to 1
    scene_share: float  # share of photos that show a scene, 0 to 1
    scenes: dict[str, float]  # scene -> share, sums to 1
    shot: Shot
    voice: str  # a name of phrases.VOICES
    habits: int  # seed of the favourite words
    mildness: float  # stars added to each rating


@dataclass(frozen=True)
class Photo:
    """One photo id. `copy_of` is the photo whose bytes it repeats; `fault` is "", "expired" or "truncated"."""

    photo_id: str  # 44 characters, as Google's
    subject: Subject
    shot: Shot
    seed: int
    copy_of: str = ""
    fault: str = ""


@dataclass(frozen=True)
class Sentence:
    """One sentence and its ground truth: `about` is None and `vague` "" if it describes nothing visible."""

    text: str
    about: Subject | None = None
    vague: str = ""  # "dish" or "scene": praise that fits any photo of that kind, or none

    def truth(self, photo: Photo) -> Match:
        """Whether the photo shows what the sentence says."""
        shown = photo.subject
        if self.vague:
            return "ambiguous" if self.vague == shown.kind else "no match"
        if self.about is None or (self.about.kind, self.about.name) != (shown.kind, shown.name):
            return "no match"
        if self.about.variant in ("", shown.variant):
            return "match"
        return "ambiguous"  # the right dish, but another variant


@dataclass(frozen=True)
class Review:
    """One row. `fault` is its planted fault, a key of faults.ROW_FAULTS, or ""."""

    user: int  # index into World.users
    restaurant: int  # index into World.restaurants
    rating: int  # 1 to 5 stars
    photos: tuple[Photo, ...]
    sentences: tuple[Sentence, ...]
    text: str
    fault: str = ""


@dataclass(frozen=True)
class World:
    """Everything, in the order of the rows of image_review_all.json."""

    config: MiniConfig
    restaurants: tuple[Restaurant, ...]
    users: tuple[User, ...]
    reviews: tuple[Review, ...]
    faults: dict[str, int] = field(default_factory=dict)  # name -> number planted

    def review_id(self, review: Review) -> str:
        """The official form, <user_id>_<business_id>."""
        return review_id(self.users[review.user].user_id, self.restaurants[review.restaurant].business_id)
