"""Strict query strings: unknown or repeated parameters are errors."""

import re
from typing import Annotated, Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError


async def require_declared_query(request: Request) -> None:
    """Dependency of every documented route; web pages accept any query.

    Raises:
        RequestValidationError: one error per invalid parameter.
    """
    if not request.scope["query_string"]:
        return
    declared = _declared(request)
    if declared is None:
        return
    errors = []
    for name in request.query_params:
        if name not in declared:
            known = f"it accepts {', '.join(sorted(declared))}" if declared else "it accepts none"
            errors.append(_error(name, "extra_forbidden", f"this operation has no such query parameter; {known}"))
        elif len(request.query_params.getlist(name)) > 1 and declared[name].get("type") != "array":
            errors.append(_error(name, "repeated", "give this query parameter once"))
    if errors:
        raise RequestValidationError(errors)


def _declared(request: Request) -> dict[str, dict[str, Any]] | None:
    """Schemas of the route's query parameters by name; None for routes outside of OpenAPI."""
    paths = request.app.openapi()["paths"]
    operation = paths.get(request.scope["route"].path, {}).get(request.method.lower())
    if operation is None:
        return None
    return {one["name"]: one["schema"] for one in operation.get("parameters", ()) if one["in"] == "query"}


def _error(name: str, kind: str, message: str) -> dict[str, Any]:
    return {"type": kind, "loc": ("query", name), "msg": message, "input": None}


def _digits(given: Any) -> Any:
    """Stricter than Pydantic, which also accepts 3.0, 1_0 and surrounding blanks."""
    if isinstance(given, str) and not re.fullmatch(r"-?[0-9]{1,18}", given):
        raise PydanticCustomError("int_parsing", "Input should be a whole number in digits")
    return given


WholeNumber = Annotated[int, BeforeValidator(_digits)]
