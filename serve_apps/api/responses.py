"""The forms of answers; OpenAPI is made of them and of `serve_apps.api.requests`."""

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
    """A sentence of the showcase, with the photos that it describes."""

    text: Words
    photos: list[PhotoId] = Field(description="Ids of the photos that it describes by the pair classifier, best first.")
    score: float = Field(
        examples=[0.94], ge=0, le=1, description="The pair classifier's highest probability over the photos."
    )
    supported: bool = Field(description="Whether that reaches the classifier's threshold: a photo shows what it says.")


class ModelVersion(BaseModel):
    """A registered model."""

    name: str
    version: str
    alias: str = Field(description="By which it was chosen.")


class Timings(BaseModel):
    """Where the time went, in milliseconds."""

    selection: float = Field(description="Choosing photos, with the hop to the selector and back.")
    explanation: float = Field(description="Writing, with the hop to the generator and back.")


class Person(BaseModel):
    """What was read of the person."""

    keywords: int = Field(description="Keywords that were read; those without a letter or digit are not.")
    past_reviews: int = Field(description="Past reviews that were read, those of this business left aside.")
    past_photos: int = Field(description="Past photos that were looked at, likewise.")


class Text(BaseModel):
    """One text, sentence by sentence."""

    sentences: list[Sentence]
    unsupported: int = Field(description="Sentences left out as `supported_only` asked; 0 where it did not.")
    missing: list[str] = Field(description="Words that `include` asked for and the text has not.")


class Answer(BaseModel):
    """What every answer of a model carries."""

    request_id: RequestId
    models: dict[str, ModelVersion] = Field(
        examples=[MODELS], description="By role: selector, generator; bundle, where one is registered."
    )
    timings: Timings


class Shown(BaseModel):
    """The photos, in the order chosen."""

    business_id: BusinessId | None = Field(description="Null where candidates were given by id.")
    theta: float = Field(description="The quality/diversity dial as it stood: the request's, or the model's own.")
    photos: list[ShownPhoto]


# Fields are answered from the last base to the first: photos, then text, then what was read of the person.
class SelectionAnswer(Person, Shown, Answer):
    """Photos that this person will care about."""


class ExplanationAnswer(Person, Text, Answer):
    """Sentences about the photos given, in the person's vein."""

    alternatives: list[Text] = Field(description="The other candidates, best first.")


class Degraded(BaseModel):
    """What the answer had to go without, because a model had more work than it can hold."""

    stage: str
    retry_after: int = Field(description="Seconds after which the whole answer may be had.")


class Showcase(Person, Text, Shown, Answer):
    """Photos that this person will care about, and sentences that describe them in their vein."""

    degraded: Degraded | None = Field(None, description="Set where there are photos without text.")
    alternatives: list[Text] = Field(description="The other candidates, best first.")


class PhotosEvent(BaseModel):
    """The first event of a streamed showcase."""

    photos: list[ShownPhoto]


class TextEvent(BaseModel):
    """The next piece of a streamed text."""

    piece: str


class Paged(BaseModel):
    """What every page of a listing says."""

    total: int = Field(ge=0, description="Rows of the whole listing, of the query where there is one.")
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last one.")


class BusinessPhotos(Paged):
    """A page of a business' photos."""

    business_id: BusinessId
    photo_ids: list[PhotoId]


class FeedbackAnswer(BaseModel):
    """What was kept."""

    feedback_id: str
    request_id: RequestId


class ReviewsKept(BaseModel):
    """What is kept of a user's reviews that came."""

    request_id: RequestId
    user_id: UserId
    kept: int
    with_feature: int = Field(description="Reviews that the models can read.")
    without_feature: list[str] = Field(description="Ids of the others: their text has no letter or digit.")


class PhotosKept(BaseModel):
    """What is kept of a business' photos that came."""

    request_id: RequestId
    business_id: BusinessId
    kept: int
    photo_ids: list[PhotoId] = Field(description="In the order sent.")


class Business(BaseModel):
    """A business to choose."""

    business_id: BusinessId
    photos: int
    reviews: int
    rating: float | None = Field(description="Mean, 1 to 5.")
    snippet: Words
    photo_ids: list[PhotoId]


class User(BaseModel):
    """A user to choose."""

    user_id: UserId
    photos: int
    reviews: int
    snippet: Words
    photo_ids: list[PhotoId]


class Review(BaseModel):
    """A review as written."""

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
    """Why a streamed answer ends before its time; its status and headers were sent before."""

    retry_after: int | None = Field(None, description="Seconds after which another try may do; Retry-After elsewhere.")


class Ready(BaseModel):
    """What the service answers with."""

    status: str = "ready"
    models: dict[str, ModelVersion] = Field(examples=[MODELS])
    embedding_space: str
    catalog: dict[str, int] = Field(description="Published rows by table.")
    catalog_version: str = Field(description="That the gateway reads; jobs.publish makes a new one.")
    candidate: dict[str, ModelVersion] | None = Field(None, description="The bundle that answers some users.")
    candidate_share: float = Field(0, description="Of users that the candidate answers.")
    rolled_back: dict[str, str] = Field(
        default_factory=dict, description="Bundles that are candidates no more: why, by version."
    )
