"""The HTTP API as a plain FastAPI application; independent of where the models run."""

import mimetypes
from pathlib import Path
from typing import Any, Protocol

from fastapi import Depends, FastAPI, Request, Response
from fastapi.routing import APIRoute
from fastapi_swagger import resources
from starlette.concurrency import run_in_threadpool

from serve_apps.access.config import AccessConfig
from serve_apps.api import content, feedback, listings, openapi, showcases
from serve_apps.api.layers import gateway_layers, wrap
from serve_apps.api.requests import PhotoId
from serve_apps.api.responses import Ready
from serve_apps.http import problem
from serve_apps.http.idempotency import IdempotencyStore
from serve_apps.http.strict_query import require_declared_query
from serve_apps.observability import replica
from serve_apps.observability.config import OperationsConfig

WEB = Path(__file__).resolve().parents[1] / "web"
SWAGGER_UI = [Path(resources.__path__[0]) / name for name in ("swagger-ui-bundle.js", "swagger-ui.css")]
PAGE_POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
RETRY = {"Retry-After": "5"}


class Backend(showcases.Backend, content.Backend, Protocol):
    """What the API needs from its backend."""

    feedback: feedback.FeedbackStore
    idempotency: IdempotencyStore

    async def models_ready(self) -> bool: ...


def create_api(
    backend: Backend, access: AccessConfig | None = None, operations: OperationsConfig | None = None
) -> FastAPI:
    """The application: showcases, catalog listings, health checks and the web page.

    Without `access`, no API key is required.
    """
    access = access or AccessConfig()
    api = FastAPI(
        title="Showcases",
        version="1",
        description="Photos of a business chosen for a person, and sentences about them in that person's style.",
        docs_url=None,  # FastAPI's page loads Swagger UI from a CDN; web/docs.html loads it from this service
        redoc_url=None,
        redirect_slashes=False,  # an id with a trailing slash is 404, not another id
        generate_unique_id_function=_operation_id,
        dependencies=[Depends(require_declared_query)],
        responses=openapi.refusals(*openapi.EVERYWHERE),
    )
    if access.keys is not None:
        api.router.route_class = openapi.KeyedRoute
    problem.install(api)
    showcases.install(api, backend, access.limits)
    feedback.install(api, backend.feedback)
    content.install(api, backend, access)
    listings.install(api, backend.catalog)
    _photos(api, backend)
    _health(api, backend)
    _pages(api)
    openapi.install(api)
    replica.install(operations or OperationsConfig(), "Gateway")
    wrap(api, gateway_layers(api, backend, access))
    return api


def _operation_id(route: APIRoute) -> str:
    """The handler's name, which generated clients use as the method name; a test checks that it is unique."""
    return route.name


def _photos(api: FastAPI, backend: Backend) -> None:
    catalog = backend.catalog
    jpeg: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}, "description": "The JPEG."}}

    @api.get(
        "/v1/photos/{photo_id}",
        response_class=Response,
        responses={**jpeg, **openapi.refusals(404)},
        tags=["catalog"],
    )
    def get_photo(photo_id: PhotoId, request: Request) -> Response:
        """A photo as JPEG. Published photos never change; photos you uploaded may, and only your tenant sees them."""
        photo = catalog.photo(photo_id, request.state.tenant)
        cache_control = "private, no-cache" if photo.own else "public, max-age=86400, immutable"
        headers = {"Cache-Control": cache_control, "X-Content-Type-Options": "nosniff"}
        return Response(photo.bytes, media_type="image/jpeg", headers=headers)


def _health(api: FastAPI, backend: Backend) -> None:
    @api.get("/healthz", tags=["health"])
    async def get_health() -> dict[str, str]:
        """Whether the gateway is alive."""
        return {"status": "alive"}

    @api.get("/readyz", response_model=Ready, tags=["health"])
    async def get_readiness(request: Request) -> Ready | Response:
        """Whether the models are loaded and the catalog can be reached."""
        try:
            version, counts = await run_in_threadpool(backend.catalog.served)
        except Exception as error:
            return problem.problem(request, 503, f"the catalog can't be reached: {error}", RETRY, "not_ready")
        if not await backend.models_ready():
            return problem.problem(request, 503, "the models are still loading", RETRY, "not_ready")
        champions = backend.champions
        bundle, candidate = champions.champion, champions.candidate
        return Ready(
            models=showcases.versions(bundle),
            embedding_space=bundle.embedding_space,
            catalog=counts,
            catalog_version=version,
            candidate=showcases.versions(candidate) if candidate else None,
            candidate_share=champions.config.candidate_share if candidate else 0,
            rolled_back=champions.rolled_back,
        )


def _pages(api: FastAPI) -> None:
    files = {"/": WEB / "index.html", "/docs": WEB / "docs.html"}
    files |= {f"/web/{path.name}": path for path in WEB.iterdir() if path.suffix in (".css", ".js", ".svg")}
    files |= {f"/web/{path.name}": path for path in SWAGGER_UI}

    def route(address: str, file: Path) -> None:
        @api.get(address, include_in_schema=False)
        def page() -> Response:
            headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}
            return Response(file.read_bytes(), media_type=mimetypes.guess_type(file.name)[0], headers=headers)

    for address, file in files.items():
        route(address, file)
