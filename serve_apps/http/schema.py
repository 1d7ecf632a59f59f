"""Schema of error responses: a problem (RFC 9457) with errors by field."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from serve_apps.http.codes import CODES

REQUEST = "bdaf9c94c25545cc93410ccd2045df7e"
RequestId = Annotated[str, Field(examples=[REQUEST])]


class FieldError(BaseModel):
    """An error and its location."""

    location: Literal["body", "query", "path", "header", "cookie"]
    pointer: str = Field(
        description="JSON Pointer (RFC 6901) into the body, empty for the whole body; else `/` and the name."
    )
    code: str = Field(description="Stable code for programs.")
    message: str


def _codes(schema: dict[str, Any]) -> None:
    schema["enum"] = list(CODES)


class Problem(BaseModel):
    """An error response (RFC 9457, application/problem+json)."""

    type: str = "about:blank"
    title: str
    status: int
    code: str = Field(description="Stable code for programs.", json_schema_extra=_codes)
    detail: str
    errors: list[FieldError] = Field(description="Errors by field; empty if no field is at fault.")
    request_id: RequestId
