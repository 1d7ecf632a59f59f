"""Request models; OpenAPI is generated from these and `serve_apps.api.responses`."""

from typing import Annotated, Any, Self

from fastapi import Body
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from serve_apps.http.schema import REQUEST
from serve_apps.terms import MAX_PHOTOS, Tone
from showcases.ids import MAX_ID_LENGTH

MAX_POOL = 500  # candidate photos of one request
MAX_CANDIDATES = 5  # texts
MAX_THETA = 10.0  # as in evaluate.thetas: q ** (2 theta) must be a float32


def _printable(name: str) -> str:
    """Like `showcases.catalog.filters.checked_id`, but the error names the field."""
    if not name.isprintable():
        raise PydanticCustomError("id_invalid", f"an id has 1 to {MAX_ID_LENGTH} characters, all of them printable")
    return name


Identifier = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID_LENGTH), AfterValidator(_printable)]
Keyword = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
PastReview = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
BUSINESS, GUEST, PHOTO = "5f0c3a9e8b7d6c5b4a392817", "100000000000000000001", "AF1QipN0pHoToOfAnExample"
TEXT = "The tonkotsu ramen was rich and the egg just right."
BusinessId = Annotated[Identifier, Field(examples=[BUSINESS])]
UserId = Annotated[Identifier, Field(examples=[GUEST])]
PhotoId = Annotated[Identifier, Field(examples=[PHOTO])]


def wrong(code: str, field: str, message: str) -> PydanticCustomError:
    """An error about several fields; `field` is the one that the response points at."""
    return PydanticCustomError(code, "{message}", {"message": message, "about": field})


class StrictBody(BaseModel):
    """Base of request bodies: unknown fields are errors (typos would be ignored), and "3" is not accepted for 3."""

    model_config = ConfigDict(extra="forbid", strict=True)


class PersonFields(StrictBody):
    """A catalog user, or a new person described by past reviews, keywords, or both."""

    user_id: UserId | None = Field(None, description="A catalog user.")
    past_reviews: list[PastReview] | None = Field(
        None, min_length=1, max_length=50, description="A new person's reviews of other places, one text each."
    )
    keywords: list[Keyword] | None = Field(
        None,
        min_length=1,
        max_length=20,
        description="A new person's interests, e.g. ramen; each counts as one past review.",
    )

    @model_validator(mode="after")
    def exactly_one_person(self) -> Self:
        is_new = self.past_reviews is not None or self.keywords is not None
        if (self.user_id is not None) == is_new:
            given = "both" if is_new else "neither"
            message = f"give either user_id, or past_reviews or keywords of a new person; got {given}"
            raise wrong("person_ambiguous", "user_id", message)
        return self

    @field_validator("past_reviews", "keywords")
    @classmethod
    def with_words(cls, texts: list[str] | None) -> list[str] | None:
        if texts is not None and not any(character.isalnum() for text in texts for character in text):
            raise PydanticCustomError("no_words", "none of them contains a word")
        return texts


class PoolFields(StrictBody):
    """The photos to choose from: all photos of a business, or candidates by id."""

    business_id: BusinessId | None = Field(None, description="All its photos are candidates.")
    candidates: list[PhotoId] | None = Field(
        None, min_length=1, max_length=MAX_POOL, description="Ids of the photos to choose from, instead of a business."
    )
    k: int = Field(3, ge=1, le=MAX_PHOTOS, description="Photos to show; fewer are returned if there aren't enough.")
    theta: float | None = Field(
        None,
        ge=0,
        le=MAX_THETA,
        description="Quality/diversity trade-off: 0 is diversity only, higher favours relevance. Default: the model's.",
    )

    @model_validator(mode="after")
    def exactly_one_pool(self) -> Self:
        if (self.business_id is None) == (self.candidates is None):
            given = "both" if self.business_id is not None else "neither"
            raise wrong("pool_ambiguous", "business_id", f"give either business_id or candidates; got {given}")
        return self


class TextFields(StrictBody):
    """Options for the generated text."""

    n: int = Field(1, ge=1, le=MAX_CANDIDATES, description="Number of drafts; all but the first are sampled.")
    seed: int = Field(0, ge=0, lt=2**31, description="Random seed of the sampled drafts.")
    include: list[Keyword] = Field(
        default_factory=list,
        max_length=5,
        description="Words the text should contain; drafts with most of them rank first.",
    )
    exclude: list[Keyword] = Field(
        default_factory=list, max_length=20, description="Words that no sentence may contain."
    )
    tone: Tone = Field(
        "own",
        description="How to rank drafts that contain equally many `include` words: own by the models' score; plain "
        "by fewest exclamation marks and capitals, enthusiastic by most; brief by shortest, detailed by longest. Any "
        "value but own needs n above 1.",
    )
    supported_only: bool = Field(
        False, description="Drop sentences that no photo supports; if none is supported, the best one stays."
    )

    @model_validator(mode="after")
    def no_contradiction(self) -> Self:
        both = {word.lower() for word in self.include} & {word.lower() for word in self.exclude}
        if both:
            raise wrong("words_contradict", "exclude", f"these words are also in include: {', '.join(sorted(both))}")
        if self.tone != "own" and self.n == 1:
            raise wrong("tone_needs_candidates", "n", f"tone {self.tone} ranks drafts: set n to at least 2")
        return self


class SelectionRequest(PersonFields, PoolFields):
    """A person, and the photos to select from."""


class ExplanationRequest(PersonFields, TextFields):
    """A person, and the photos to write about."""

    photo_ids: list[PhotoId] = Field(min_length=1, max_length=MAX_PHOTOS, description="In display order.")


class ShowcaseRequest(PersonFields, PoolFields, TextFields):
    """A person, the photos to select from, and options for the text."""


class ReviewPut(StrictBody):
    """A review by the user."""

    review_id: Identifier
    business_id: BusinessId
    text: Annotated[str, StringConstraints(max_length=8000)] = Field(
        description="May be empty; then no feature is computed."
    )
    rating: float | None = Field(None, ge=1, le=5)


class ReviewsPut(StrictBody):
    """All reviews that a tenant uploads for a user."""

    reviews: list[ReviewPut] = Field(max_length=300, description="An empty list deletes the reviews uploaded before.")

    @model_validator(mode="after")
    def unique_ids(self) -> Self:
        ids = [review.review_id for review in self.reviews]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise wrong("repeated", "reviews", f"review {twice[0]!r} occurs twice")
        return self


class ModelAsked(StrictBody):
    """A model version, as named in a response."""

    name: Identifier
    version: Identifier
    alias: Identifier | None = None


class FeedbackRequest(StrictBody):
    """Feedback on a showcase: a rating, a corrected text, or both."""

    request_id: Identifier = Field(description="Request id of the showcase.")
    user_id: UserId | None = None
    business_id: BusinessId | None = None
    photo_ids: list[PhotoId] = Field(max_length=MAX_PHOTOS, description="The photos shown.")
    text: Annotated[str, StringConstraints(max_length=4000)] = Field(description="The text shown.")
    rating: int | None = Field(None, ge=1, le=5)
    edited_text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)] | None = None
    models: dict[str, ModelAsked] | None = Field(None, max_length=4, description="`models` of the showcase.")

    @model_validator(mode="after")
    def not_empty(self) -> Self:
        if self.rating is None and self.edited_text is None:
            raise wrong("feedback_empty", "rating", "give a rating, an edited_text, or both")
        return self


def _body(**examples: dict[str, Any]) -> Any:
    """A JSON body with named examples for OpenAPI."""
    return Body(openapi_examples={name: {"value": value} for name, value in examples.items()})


SelectionBody = Annotated[
    SelectionRequest,
    _body(
        user={"user_id": GUEST, "business_id": BUSINESS, "k": 3},
        somebody_new={"keywords": ["ramen"], "candidates": [PHOTO], "theta": 1.5},
    ),
]
ExplanationBody = Annotated[
    ExplanationRequest,
    _body(
        user={"user_id": GUEST, "photo_ids": [PHOTO], "n": 3, "exclude": ["cheap"]},
    ),
]
ShowcaseBody = Annotated[
    ShowcaseRequest,
    _body(
        user={"user_id": GUEST, "business_id": BUSINESS, "k": 3},
        past_reviews={"past_reviews": [TEXT], "business_id": BUSINESS},
        keywords={"keywords": ["ramen", "rooftop terrace"], "business_id": BUSINESS, "supported_only": True},
        three_texts={
            "user_id": GUEST,
            "business_id": BUSINESS,
            "n": 3,
            "tone": "brief",
            "include": ["ramen"],
            "theta": 2,
        },
    ),
]
ReviewsBody = Annotated[
    ReviewsPut,
    _body(
        two={
            "reviews": [
                {"review_id": "r-1", "business_id": BUSINESS, "text": TEXT, "rating": 5},
                {"review_id": "r-2", "business_id": "somewhere-else", "text": "Great coffee, slow service."},
            ]
        },
        none={"reviews": []},
    ),
]
FeedbackBody = Annotated[
    FeedbackRequest,
    _body(
        edited={
            "request_id": REQUEST,
            "user_id": GUEST,
            "business_id": BUSINESS,
            "photo_ids": [PHOTO],
            "text": "The ramen was fine.",
            "rating": 2,
            "edited_text": TEXT,
        },
    ),
]
