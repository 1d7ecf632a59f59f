"""Refusals as RFC 9457 problems: one form for every error, a message that says what to do, never a stack trace."""

from collections.abc import Callable, Mapping

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route

from serve_apps.http.asgi import RefusedError, problem_body, problem_headers
from serve_apps.http.pointers import field_error, in_words
from showcases.catalog import BusyError, CatalogError, IdTakenError, NotFoundError


def install(api: FastAPI) -> None:
    """Give every error the form of a `Problem`; the request's id is there already (`serve_apps.access.front`)."""
    api.exception_handler(NotFoundError)(_answer(404))
    api.exception_handler(IdTakenError)(_answer(409))
    api.exception_handler(BusyError)(_answer(503, {"Retry-After": "2"}))
    api.exception_handler(CatalogError)(_answer(422))  # an id that can't be one
    api.exception_handler(RequestValidationError)(_invalid)
    api.exception_handler(HTTPException)(_http)
    api.exception_handler(RefusedError)(_refused)


def problem(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None, code: str | None = None
) -> Response:
    """An application/problem+json answer."""
    return _refused(request, RefusedError(status, detail, dict(headers or {}), code=code))


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    response = Response(problem_body(request.scope, error), error.status)
    response.raw_headers += problem_headers(error.headers)
    return response


def _answer(status: int, headers: Mapping[str, str] | None = None) -> Callable[[Request, Exception], Response]:
    def answer(request: Request, error: Exception) -> Response:
        return problem(request, status, str(error), headers)

    return answer


def _invalid(request: Request, error: Exception) -> Response:
    """One readable line for each thing that is wrong, with the place it is at; the same as `errors` for programs."""
    assert isinstance(error, RequestValidationError)
    errors = [field_error(found) for found in error.errors()]
    return _refused(request, RefusedError(422, "; ".join(map(in_words, errors)), errors=errors))


def _http(request: Request, error: Exception) -> Response:
    """What Starlette raises. No route takes OPTIONS: it is answered here, with the methods of the path's routes."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allow = {"Allow": _allowed(request)}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=allow)
        detail = f"{request.method} does not work here; this path takes {allow['Allow']}"
        return problem(request, 405, detail, allow)
    if error.status_code == 404 and error.detail == "Not Found":
        return problem(request, 404, "no such path; /docs lists them", error.headers, "path_unknown")
    return problem(request, error.status_code, str(error.detail), error.headers)


def _allowed(request: Request) -> str:
    """The methods of every route at this path; the error has those of the first one alone. HEAD comes with GET."""
    routes: list[BaseRoute] = request.app.router.routes
    here = [one for one in routes if isinstance(one, Route) and one.matches(request.scope)[0] is not Match.NONE]
    methods = {method for route in here for method in route.methods or ()} | {"OPTIONS"}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
