"""The HTTP interface as a plain FastAPI application: it knows what is asked and answered, not where models run."""

import mimetypes
from pathlib import Path
from typing import Annotated, Any, Protocol

from fastapi import Depends, FastAPI, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from serve_apps import contract, feedback, problems, puts, showcasing
from serve_apps.access.config import AccessConfig
from serve_apps.access.protect import protect
from serve_apps.asked import Identifier
from serve_apps.heads import Head
from serve_apps.http.strict_query import WholeNumber, require_declared_query
from serve_apps.http.validators import Validators
from serve_apps.operations.config import OperationsConfig
from serve_apps.operations.observe import observe
from serve_apps.schemas import Business, BusinessPhotos, Ready, Review, User

WEB = Path(__file__).resolve().parent / "web"
PAGE_POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
RETRY = {"Retry-After": "5"}
Limit = Annotated[WholeNumber, Query(ge=1, le=200, description="At most so many.")]
Search = Annotated[str, Query(max_length=100, description="Part of an id, or of what they wrote; any case.")]


class Backend(showcasing.Backend, puts.Backend, Protocol):
    """What the interface needs behind it."""

    feedback: feedback.FeedbackStore

    async def models_ready(self) -> bool: ...


def create_api(
    backend: Backend, access: AccessConfig | None = None, operations: OperationsConfig | None = None
) -> FastAPI:
    """The application: showcases, what there is to choose from, health, and the page; open without `access`."""
    access = access or AccessConfig()
    api = FastAPI(
        title="Showcases",
        version="1",
        description="Photos of a business that a person will care about, and sentences that describe them their way.",
        docs_url=None,  # FastAPI's page loads scripts from elsewhere; ours is web/docs.html
        redoc_url=None,
        redirect_slashes=False,  # an id that ends in a slash is not found, rather than another id
        dependencies=[Depends(require_declared_query)],
    )
    problems.install(api)
    showcasing.install(api, backend, access.limits)
    feedback.install(api, backend.feedback)
    puts.install(api, backend, access)
    _choices(api, backend)
    _health(api, backend)
    _pages(api)
    contract.install(api, access)
    api.add_middleware(Validators)
    protect(api, access)
    api.add_middleware(Head)
    observe(api, backend, operations or OperationsConfig())
    return api


def _choices(api: FastAPI, backend: Backend) -> None:
    catalog = backend.catalog
    jpeg: dict[int | str, dict[str, Any]] = {200: {"content": {"image/jpeg": {}}, "description": "The JPEG."}}

    @api.get(
        "/v1/photos/{photo_id}",
        response_class=Response,
        responses={**jpeg, **problems.responses(404, 422)},
        tags=["catalog"],
    )
    def get_photo(photo_id: Identifier, request: Request) -> Response:
        """A photo. A published one never changes under its id; one that was PUT may, and is its tenant's alone."""
        photo = catalog.photo(photo_id, request.state.tenant)
        kept = "private, no-cache" if photo.own else "public, max-age=86400, immutable"
        headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
        return Response(photo.bytes, media_type="image/jpeg", headers=headers)

    @api.get("/v1/businesses", response_model=list[Business], responses=problems.responses(422), tags=["catalog"])
    def list_businesses(limit: Limit = 50, query: Search = "") -> list[Business]:
        """Businesses that have photos, those with most first."""
        return [Business(**vars(row)) for row in catalog.businesses(limit, query)]

    @api.get(
        "/v1/businesses/{business_id}/photos",
        response_model=BusinessPhotos,
        responses=problems.responses(404, 422),
        tags=["catalog"],
    )
    def list_photos(business_id: Identifier, request: Request) -> BusinessPhotos:
        """All photos of a business: the candidates that a showcase is selected from."""
        found = catalog.photos_of_business(business_id, request.state.tenant)
        return BusinessPhotos(business_id=business_id, photo_ids=found.ids)

    @api.get("/v1/users", response_model=list[User], responses=problems.responses(422), tags=["catalog"])
    def list_users(limit: Limit = 50, query: Search = "") -> list[User]:
        """Users, those with most photos first."""
        return [User(**vars(row)) for row in catalog.users(limit, query)]

    @api.get(
        "/v1/users/{user_id}/reviews",
        response_model=list[Review],
        responses=problems.responses(404, 422),
        tags=["catalog"],
    )
    def list_reviews(user_id: Identifier, request: Request) -> list[Review]:
        """What a user wrote."""
        rows = catalog.reviews_of_user(user_id, request.state.tenant)
        columns = zip(rows.ids, rows.business_ids, rows.ratings, rows.texts, strict=True)
        return [Review(review_id=a, business_id=b, rating=c, text=d) for a, b, c, d in columns]


def _health(api: FastAPI, backend: Backend) -> None:
    @api.get("/healthz", tags=["health"])
    async def alive() -> dict[str, str]:
        """Whether the gateway is alive."""
        return {"status": "alive"}

    @api.get("/readyz", response_model=Ready, responses=problems.responses(503), tags=["health"])
    async def ready(request: Request) -> Ready | Response:
        """Whether the models are loaded and the catalog can be reached."""
        try:
            version, counts = await run_in_threadpool(backend.catalog.served)
        except Exception as error:
            return problems.problem(request, 503, f"the catalog can't be reached: {error}", RETRY, "not_ready")
        if not await backend.models_ready():
            return problems.problem(request, 503, "the models do not answer yet", RETRY, "not_ready")
        champions = backend.champions
        bundle, candidate = champions.champion, champions.candidate
        return Ready(
            models=showcasing.versions(bundle),
            embedding_space=bundle.embedding_space,
            catalog=counts,
            catalog_version=version,
            candidate=showcasing.versions(candidate) if candidate else None,
            candidate_share=champions.config.candidate_share if candidate else 0,
            rolled_back=champions.rolled_back,
        )


def _pages(api: FastAPI) -> None:
    files = {"/": "index.html", "/docs": "docs.html"}
    files |= {f"/web/{path.name}": path.name for path in WEB.iterdir() if path.suffix in (".css", ".js", ".svg")}

    def route(path: str, name: str) -> None:
        @api.get(path, include_in_schema=False)
        def page() -> Response:
            headers = {"Content-Security-Policy": PAGE_POLICY, "Cache-Control": "no-cache"}
            return Response((WEB / name).read_bytes(), media_type=mimetypes.guess_type(name)[0], headers=headers)

    for path, name in files.items():
        route(path, name)
