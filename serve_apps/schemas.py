"""The forms of requests and answers; OpenAPI is made of them."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

MAX_PHOTOS = 5  # the paper's limit for a showcase
Identifier = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Keyword = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]
PastReview = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class ShowcaseRequest(BaseModel):
    """Whom the showcase is for, and of which business."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"user_id": "100000000000000000001", "business_id": "5f0c3a9e8b7d6c5b4a392817", "k": 3},
                {
                    "past_reviews": ["The tonkotsu ramen was rich and the egg just right."],
                    "business_id": "5f0c3a9e8b7d6c5b4a392817",
                },
                {
                    "keywords": ["ramen", "rooftop terrace"],
                    "business_id": "5f0c3a9e8b7d6c5b4a392817",
                    "supported_only": True,
                },
            ]
        },
    )

    user_id: Identifier | None = Field(None, description="A user of the catalog.")
    past_reviews: list[PastReview] | None = Field(
        None, min_length=1, max_length=50, description="What somebody new wrote about other places, one text a review."
    )
    keywords: list[Keyword] | None = Field(
        None,
        min_length=1,
        max_length=20,
        description="What somebody new likes, e.g. ramen; alone or with past_reviews, each counts as one of them.",
    )
    business_id: Identifier
    k: int = Field(3, ge=1, le=MAX_PHOTOS, description="Photos to show; fewer come back where there are fewer.")

    supported_only: bool = Field(
        False, description="Leave out sentences that no photo supports; the best one stays where none is supported."
    )

    @model_validator(mode="after")
    def one_person(self) -> Self:
        somebody_new = self.past_reviews is not None or self.keywords is not None
        if (self.user_id is not None) == somebody_new:
            given = "both" if somebody_new else "neither"
            raise ValueError(f"give either user_id, or past_reviews or keywords of somebody new; {given} came")
        return self

    @field_validator("past_reviews", "keywords")
    @classmethod
    def with_words(cls, texts: list[str] | None) -> list[str] | None:
        if texts is not None and not any(character.isalnum() for text in texts for character in text):
            raise ValueError("there is not a word in them")
        return texts


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


class Showcase(BaseModel):
    """Photos that this person will care about, and sentences that describe them in their vein."""

    request_id: str
    business_id: str
    photos: list[ShownPhoto]
    sentences: list[Sentence]
    unsupported: int = Field(description="Sentences left out as `supported_only` asked; 0 where it did not.")
    keywords: int = Field(description="Keywords that were read; those without a letter or digit are not.")
    past_reviews: int = Field(description="Past reviews that were read, those of this business left aside.")
    past_photos: int = Field(description="Past photos that were looked at, likewise.")
    models: dict[str, ModelVersion] = Field(description="By role: selector, generator.")


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


class Problem(BaseModel):
    """Why a request was refused (RFC 9457, application/problem+json)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str


class Ready(BaseModel):
    """What the service answers with."""

    status: str = "ready"
    models: dict[str, ModelVersion]
    embedding_space: str
    catalog: dict[str, int] = Field(description="Rows by table.")
