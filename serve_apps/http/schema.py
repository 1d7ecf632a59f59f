"""The form of every refusal: a problem (RFC 9457), with what is wrong field by field."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from serve_apps.http.codes import CODES

REQUEST = "bdaf9c94c25545cc93410ccd2045df7e"
RequestId = Annotated[str, Field(examples=[REQUEST])]


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
    request_id: RequestId
