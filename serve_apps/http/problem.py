"""Exception handlers: every error becomes an RFC 9457 problem with an actionable message, never a stack trace."""

from collections.abc import Callable, Mapping

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route

from serve_apps.http.asgi import RefusedError, problem_body, problem_headers
from serve_apps.http.pointers import field_error, in_words
from showcases.catalog import BusyError, CatalogError, IdTakenError, NotFoundError


def install(api: FastAPI) -> None:
    """Register handlers that turn every error into a `Problem`."""
    api.exception_handler(NotFoundError)(_answer(404))
    api.exception_handler(IdTakenError)(_answer(409))
    api.exception_handler(BusyError)(_answer(503, {"Retry-After": "2"}))
    api.exception_handler(CatalogError)(_answer(422))  # an invalid id
    api.exception_handler(RequestValidationError)(_invalid)
    api.exception_handler(HTTPException)(_http)
    api.exception_handler(RefusedError)(_refused)


def problem(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None, code: str | None = None
) -> Response:
    """An application/problem+json response."""
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
    """Validation errors: readable in `detail`, by field in `errors`."""
    assert isinstance(error, RequestValidationError)
    errors = [field_error(found) for found in error.errors()]
    return _refused(request, RefusedError(422, "; ".join(map(in_words, errors)), errors=errors))


def _http(request: Request, error: Exception) -> Response:
    """Starlette's errors. Also answers OPTIONS, which no route handles, with the path's methods."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allow = {"Allow": _allowed(request)}
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=allow)
        detail = f"{request.method} is not allowed; this path supports {allow['Allow']}"
        return problem(request, 405, detail, allow)
    if error.status_code == 404 and error.detail == "Not Found":
        return problem(request, 404, "no such path; /docs lists them", error.headers, "path_unknown")
    return problem(request, error.status_code, str(error.detail), error.headers)


def _allowed(request: Request) -> str:
    """Methods of all routes at this path (Starlette's error has only the first route's); GET implies HEAD."""
    routes: list[BaseRoute] = request.app.router.routes
    here = [one for one in routes if isinstance(one, Route) and one.matches(request.scope)[0] is not Match.NONE]
    methods = {method for route in here for method in route.methods or ()} | {"OPTIONS"}
    return ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
