"""The forms of answers; OpenAPI is made of them and of `serve_apps.asked`."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from serve_apps.http.codes import CODES


class ShownPhoto(BaseModel):
    """A photo of the showcase."""

    photo_id: str
    url: str = Field(description="Path of the JPEG on this service.")
    relevance: float = Field(description="q > 0, the selector's relevance for this person; no upper limit.")


class Sentence(BaseModel):
    """A sentence of the showcase, with the photos that it describes."""

    text: str
    photos: list[str] = Field(description="Ids of the photos that it describes by the pair classifier, best first.")
    score: float = Field(ge=0, le=1, description="The pair classifier's highest probability over the photos.")
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

    request_id: str
    models: dict[str, ModelVersion] = Field(
        description="By role: selector, generator; bundle, where one is registered."
    )
    timings: Timings


class Shown(BaseModel):
    """The photos, in the order chosen."""

    business_id: str | None = Field(description="Null where candidates were given by id.")
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


class Paged(BaseModel):
    """What every page of a listing says."""

    total: int = Field(ge=0, description="Rows of the whole listing, of the query where there is one.")
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last one.")


class BusinessPhotos(Paged):
    """A page of a business' photos."""

    business_id: str
    photo_ids: list[str]


class FeedbackAnswer(BaseModel):
    """What was kept."""

    feedback_id: str
    request_id: str


class ReviewsKept(BaseModel):
    """What is kept of a user's reviews that came."""

    request_id: str
    user_id: str
    kept: int
    with_feature: int = Field(description="Reviews that the models can read.")
    without_feature: list[str] = Field(description="Ids of the others: their text has no letter or digit.")


class PhotosKept(BaseModel):
    """What is kept of a business' photos that came."""

    request_id: str
    business_id: str
    kept: int
    photo_ids: list[str] = Field(description="In the order sent.")


class Business(BaseModel):
    """A business to choose."""

    business_id: str
    photos: int
    reviews: int
    rating: float | None = Field(description="Mean, 1 to 5.")
    snippet: str
    photo_ids: list[str]


class User(BaseModel):
    """A user to choose."""

    user_id: str
    photos: int
    reviews: int
    snippet: str
    photo_ids: list[str]


class Review(BaseModel):
    """A review as written."""

    review_id: str
    business_id: str
    rating: float | None
    text: str


class BusinessPage(Paged):
    """A page of businesses."""

    items: list[Business]


class UserPage(Paged):
    """A page of users."""

    items: list[User]


class ReviewPage(Paged):
    """A page of a user's reviews."""

    items: list[Review]


class FieldError(BaseModel):
    """One thing that is wrong, and where."""

    location: Literal["body", "query", "path", "header", "cookie"]
    pointer: str = Field(
        description="JSON Pointer (RFC 6901) into the body, empty for the whole; elsewhere `/` and the name."
    )
    code: str = Field(description="For programs; the same for the same mistake.")
    message: str


def _codes(schema: dict[str, Any]) -> None:
    schema["enum"] = list(CODES)


class Problem(BaseModel):
    """Why a request was refused (RFC 9457, application/problem+json)."""

    type: str = "about:blank"
    title: str
    status: int
    code: str = Field(description="Which kind of refusal, for programs.", json_schema_extra=_codes)
    detail: str
    errors: list[FieldError] = Field(description="What is wrong field by field; empty where no field is at fault.")
    request_id: str


class StreamedProblem(Problem):
    """Why a streamed answer ends before its time; its status and headers were sent before."""

    retry_after: int | None = Field(None, description="Seconds after which another try may do; Retry-After elsewhere.")


class Ready(BaseModel):
    """What the service answers with."""

    status: str = "ready"
    models: dict[str, ModelVersion]
    embedding_space: str
    catalog: dict[str, int] = Field(description="Published rows by table.")
    catalog_version: str = Field(description="That the gateway reads; jobs.publish makes a new one.")
    candidate: dict[str, ModelVersion] | None = Field(None, description="The bundle that answers some users.")
    candidate_share: float = Field(0, description="Of users that the candidate answers.")
    rolled_back: dict[str, str] = Field(
        default_factory=dict, description="Bundles that are candidates no more: why, by version."
    )
