"""Response models; OpenAPI is generated from these and `serve_apps.api.requests`."""

from typing import Annotated

from pydantic import BaseModel, Field

from serve_apps.api.requests import BUSINESS, GUEST, PHOTO, TEXT
from serve_apps.http.schema import Problem, RequestId

PhotoId = Annotated[str, Field(examples=[PHOTO])]
BusinessId = Annotated[str, Field(examples=[BUSINESS])]
UserId = Annotated[str, Field(examples=[GUEST])]
MODELS = {
    role: {"name": f"showcases-{role}", "version": "3", "alias": "champion"} for role in ("selector", "generator")
}
Words = Annotated[str, Field(examples=[TEXT])]


class ShownPhoto(BaseModel):
    """A photo of the showcase."""

    photo_id: PhotoId
    url: str = Field(examples=[f"/v1/photos/{PHOTO}"], description="Path of the JPEG on this service.")
    relevance: float = Field(
        examples=[1.37], description="q > 0, the selector's relevance for this person; no upper limit."
    )


class Sentence(BaseModel):
    """A sentence of the showcase, with the photos it describes."""

    text: Words
    photos: list[PhotoId] = Field(description="Ids of the photos it describes, by the pair classifier; best first.")
    score: float = Field(
        examples=[0.94], ge=0, le=1, description="The pair classifier's highest probability over the photos."
    )
    supported: bool = Field(description="Whether score reaches the threshold, i.e. a photo shows it.")


class ModelVersion(BaseModel):
    """A registered model."""

    name: str
    version: str
    alias: str = Field(description="Alias through which it was loaded.")


class Timings(BaseModel):
    """Durations in milliseconds."""

    selection: float = Field(description="Photo selection, including the call to the selector.")
    explanation: float = Field(description="Text generation, including the call to the generator.")


class Person(BaseModel):
    """How much of the person's input was used."""

    keywords: int = Field(description="Keywords used; those without a letter or digit are ignored.")
    past_reviews: int = Field(description="Past reviews used; those of this business are excluded.")
    past_photos: int = Field(description="Past photos used; those of this business are excluded.")


class Text(BaseModel):
    """One text, sentence by sentence."""

    sentences: list[Sentence]
    unsupported: int = Field(description="Sentences dropped by `supported_only`; 0 without it.")
    missing: list[str] = Field(description="Words of `include` that the text doesn't contain.")


class Answer(BaseModel):
    """Fields of every response that used a model."""

    request_id: RequestId
    models: dict[str, ModelVersion] = Field(
        examples=[MODELS], description="By role: selector, generator, and bundle if one is registered."
    )
    timings: Timings


class Shown(BaseModel):
    """The photos, in the order chosen."""

    business_id: BusinessId | None = Field(description="Null if candidates were given by id.")
    theta: float = Field(description="The quality/diversity trade-off used: the request's or the model's.")
    photos: list[ShownPhoto]


# Pydantic orders fields from the last base to the first: photos, then text, then the person's input.
class SelectionAnswer(Person, Shown, Answer):
    """Photos selected for this person."""


class ExplanationAnswer(Person, Text, Answer):
    """Sentences about the given photos, in the person's writing style."""

    alternatives: list[Text] = Field(description="The other drafts, best first.")


class Degraded(BaseModel):
    """The stage that was skipped because its model was overloaded."""

    stage: str
    retry_after: int = Field(description="Seconds after which to retry for a complete response.")


class Showcase(Person, Text, Shown, Answer):
    """Photos selected for this person, and sentences about them in the person's writing style."""

    degraded: Degraded | None = Field(None, description="Set if the response has photos but no text.")
    alternatives: list[Text] = Field(description="The other drafts, best first.")


class PhotosEvent(BaseModel):
    """The first event of a streamed showcase."""

    photos: list[ShownPhoto]


class TextEvent(BaseModel):
    """The next piece of a streamed text."""

    piece: str


class Paged(BaseModel):
    """Fields of every page of a listing."""

    total: int = Field(ge=0, description="Rows in all pages, after filtering by query.")
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last one.")


class BusinessPhotos(Paged):
    """A page of a business' photos."""

    business_id: BusinessId
    photo_ids: list[PhotoId]


class FeedbackAnswer(BaseModel):
    """Id of the stored feedback."""

    feedback_id: str
    request_id: RequestId


class ReviewsKept(BaseModel):
    """Result of uploading a user's reviews."""

    request_id: RequestId
    user_id: UserId
    kept: int
    with_feature: int = Field(description="Reviews that the models can use.")
    without_feature: list[str] = Field(description="Ids of reviews whose text has no letter or digit.")


class PhotosKept(BaseModel):
    """Result of uploading a business' photos."""

    request_id: RequestId
    business_id: BusinessId
    kept: int
    photo_ids: list[PhotoId] = Field(description="In upload order.")


class Business(BaseModel):
    """A business in a listing."""

    business_id: BusinessId
    photos: int
    reviews: int
    rating: float | None = Field(description="Mean, 1 to 5.")
    snippet: Words
    photo_ids: list[PhotoId]


class User(BaseModel):
    """A user in a listing."""

    user_id: UserId
    photos: int
    reviews: int
    snippet: Words
    photo_ids: list[PhotoId]


class Review(BaseModel):
    """A review in a listing."""

    review_id: str
    business_id: BusinessId
    rating: float | None
    text: Words


class BusinessPage(Paged):
    """A page of businesses."""

    items: list[Business]


class UserPage(Paged):
    """A page of users."""

    items: list[User]


class ReviewPage(Paged):
    """A page of a user's reviews."""

    items: list[Review]


class StreamedProblem(Problem):
    """Why a stream ended early; its HTTP status and headers had been sent already."""

    retry_after: int | None = Field(None, description="Seconds after which to retry, as Retry-After.")


class Ready(BaseModel):
    """Models and catalog that the service uses."""

    status: str = "ready"
    models: dict[str, ModelVersion] = Field(examples=[MODELS])
    embedding_space: str
    catalog: dict[str, int] = Field(description="Published rows by table.")
    catalog_version: str = Field(description="Version the gateway reads; jobs.publish creates a new one.")
    candidate: dict[str, ModelVersion] | None = Field(None, description="The bundle that serves a share of users.")
    candidate_share: float = Field(0, description="Share of users served by the candidate, 0 to 1.")
    rolled_back: dict[str, str] = Field(
        default_factory=dict, description="Bundles that were rolled back: reason by version."
    )
