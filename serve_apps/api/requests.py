"""The forms of requests; OpenAPI is made of them and of `serve_apps.api.responses`."""

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
    """As `showcases.catalog.filters.checked_id`, so that the refusal names the field."""
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
    """A rule about several fields is broken; `field` is the one that the refusal points at."""
    return PydanticCustomError(code, "{message}", {"message": message, "about": field})


class Asked(BaseModel):
    """Unknown fields are refused: a misspelt one would be ignored otherwise. Types are those of JSON: no "3" for 3."""

    model_config = ConfigDict(extra="forbid", strict=True)


class PersonAsked(Asked):
    """A user of the catalog, or somebody new by past reviews, keywords, or both."""

    user_id: UserId | None = Field(None, description="A user of the catalog.")
    past_reviews: list[PastReview] | None = Field(
        None, min_length=1, max_length=50, description="What somebody new wrote about other places, one text a review."
    )
    keywords: list[Keyword] | None = Field(
        None,
        min_length=1,
        max_length=20,
        description="What somebody new likes, e.g. ramen; alone or with past_reviews, each counts as one of them.",
    )

    @model_validator(mode="after")
    def one_person(self) -> Self:
        somebody_new = self.past_reviews is not None or self.keywords is not None
        if (self.user_id is not None) == somebody_new:
            given = "both" if somebody_new else "neither"
            said = f"give either user_id, or past_reviews or keywords of somebody new; {given} came"
            raise wrong("person_ambiguous", "user_id", said)
        return self

    @field_validator("past_reviews", "keywords")
    @classmethod
    def with_words(cls, texts: list[str] | None) -> list[str] | None:
        if texts is not None and not any(character.isalnum() for text in texts for character in text):
            raise PydanticCustomError("no_words", "there is not a word in them")
        return texts


class PoolAsked(Asked):
    """Photos to choose from: all of a business, or candidates by id."""

    business_id: BusinessId | None = Field(None, description="All its photos are candidates.")
    candidates: list[PhotoId] | None = Field(
        None, min_length=1, max_length=MAX_POOL, description="Ids of photos to choose from, in place of a business."
    )
    k: int = Field(3, ge=1, le=MAX_PHOTOS, description="Photos to show; fewer come back where there are fewer.")
    theta: float | None = Field(
        None,
        ge=0,
        le=MAX_THETA,
        description="The quality/diversity dial: 0 looks at diversity alone, more at relevance; else the model's.",
    )

    @model_validator(mode="after")
    def one_pool(self) -> Self:
        if (self.business_id is None) == (self.candidates is None):
            given = "both" if self.business_id is not None else "neither"
            raise wrong("pool_ambiguous", "business_id", f"give either business_id or candidates; {given} came")
        return self


class TextAsked(Asked):
    """How the text is to be."""

    n: int = Field(1, ge=1, le=MAX_CANDIDATES, description="Candidate texts; all but the first are drawn at random.")
    seed: int = Field(0, ge=0, lt=2**31, description="Of those draws: another one gives other candidates.")
    include: list[Keyword] = Field(
        default_factory=list,
        max_length=5,
        description="Words the text should have: candidates with most come first.",
    )
    exclude: list[Keyword] = Field(
        default_factory=list, max_length=20, description="Words that no sentence of the text has."
    )
    tone: Tone = Field(
        "own",
        description="Which candidate is preferred among those with the same words: own takes what the models think "
        "best; plain the one with fewest exclamation marks and capitals, enthusiastic with most; brief the shortest, "
        "detailed the longest. It wants n above 1.",
    )
    supported_only: bool = Field(
        False, description="Leave out sentences that no photo supports; the best one stays where none is supported."
    )

    @model_validator(mode="after")
    def no_contradiction(self) -> Self:
        both = {word.lower() for word in self.include} & {word.lower() for word in self.exclude}
        if both:
            raise wrong("words_contradict", "exclude", f"include has these words too: {', '.join(sorted(both))}")
        if self.tone != "own" and self.n == 1:
            raise wrong(
                "tone_needs_candidates", "n", f"tone {self.tone} chooses among candidates: give n of at least 2"
            )
        return self


class SelectionRequest(PersonAsked, PoolAsked):
    """Whom to select photos for, and from which."""


class ExplanationRequest(PersonAsked, TextAsked):
    """Whom to write for, about which photos."""

    photo_ids: list[PhotoId] = Field(min_length=1, max_length=MAX_PHOTOS, description="In the order to be shown.")


class ShowcaseRequest(PersonAsked, PoolAsked, TextAsked):
    """Whom the showcase is for, and of which business."""


class ReviewPut(Asked):
    """A review, as its user wrote it."""

    review_id: Identifier
    business_id: BusinessId
    text: Annotated[str, StringConstraints(max_length=8000)] = Field(
        description="May be empty; then it has no feature."
    )
    rating: float | None = Field(None, ge=1, le=5)


class ReviewsPut(Asked):
    """All reviews that one caller keeps for a user."""

    reviews: list[ReviewPut] = Field(max_length=300, description="None takes back what was sent before.")

    @model_validator(mode="after")
    def each_once(self) -> Self:
        ids = [review.review_id for review in self.reviews]
        if twice := sorted({name for name in ids if ids.count(name) > 1}):
            raise wrong("repeated", "reviews", f"review {twice[0]!r} comes twice")
        return self


class ModelAsked(Asked):
    """A model as an answer named it."""

    name: Identifier
    version: Identifier
    alias: Identifier | None = None


class FeedbackRequest(Asked):
    """What somebody thinks of a showcase: a rating, the text as it should have been, or both."""

    request_id: Identifier = Field(description="Of the showcase.")
    user_id: UserId | None = None
    business_id: BusinessId | None = None
    photo_ids: list[PhotoId] = Field(max_length=MAX_PHOTOS, description="Those that were shown.")
    text: Annotated[str, StringConstraints(max_length=4000)] = Field(description="As it was shown.")
    rating: int | None = Field(None, ge=1, le=5)
    edited_text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)] | None = None
    models: dict[str, ModelAsked] | None = Field(None, max_length=4, description="As the showcase named them.")

    @model_validator(mode="after")
    def something_said(self) -> Self:
        if self.rating is None and self.edited_text is None:
            raise wrong("feedback_empty", "rating", "give a rating, an edited_text, or both")
        return self


def _body(**examples: dict[str, Any]) -> Any:
    """A JSON body with named examples."""
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
