"""Refusals as RFC 9457 problems: one form for every error, a message that says what to do, never a stack trace."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route

from serve_apps.schemas import Problem
from showcases.catalog import BusyError, CatalogError, IdTakenError, NotFoundError


def install(api: FastAPI) -> None:
    """Give every error the form of a `Problem`; the request's id is there already (`serve_apps.access.front`)."""
    api.exception_handler(NotFoundError)(_answer(404))
    api.exception_handler(IdTakenError)(_answer(409))
    api.exception_handler(BusyError)(_answer(503, {"Retry-After": "2"}))
    api.exception_handler(CatalogError)(_answer(422))  # an id that can't be one
    api.exception_handler(RequestValidationError)(_invalid)
    api.exception_handler(HTTPException)(_http)


def problem(request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An application/problem+json answer."""
    title = HTTPStatus(status).phrase
    body = Problem(title=title, status=status, detail=detail, request_id=request.state.request_id)
    told = {"Cache-Control": "no-store", **(headers or {})}
    return JSONResponse(body.model_dump(), status, told, media_type="application/problem+json")


def responses(*codes: int) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: the errors that a route may answer with."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {code: {"description": HTTPStatus(code).phrase, "model": Problem, "content": content} for code in codes}


def _answer(status: int, headers: Mapping[str, str] | None = None) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        return problem(request, status, str(error), headers)

    return answer


def _invalid(request: Request, error: Exception) -> Response:
    """One readable line for each thing that is wrong, with the place it is at."""
    assert isinstance(error, RequestValidationError)
    lines = []
    for found in error.errors():
        place = ".".join(str(part) for part in found["loc"][1:])
        message = str(found["msg"]).removeprefix("Value error, ")
        if found["type"] == "json_invalid":
            place, message = "", f"the body is not JSON, at character {place}"
        lines.append(f"{place}: {message}" if place else message)
    return problem(request, 422, "; ".join(lines))


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    unknown_path = error.status_code == 404 and error.detail == "Not Found"
    detail = "no such path; /docs lists them" if unknown_path else str(error.detail)
    headers = {"Allow": _allowed(request)} if error.status_code == 405 else error.headers
    return problem(request, error.status_code, detail, headers)


def _allowed(request: Request) -> str:
    """The methods of every route at this path; the error has those of the first one alone."""
    routes: list[BaseRoute] = request.app.router.routes
    here = [one for one in routes if isinstance(one, Route) and one.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({method for route in here for method in route.methods or ()}))
