"""The routes that take new content: a user's reviews, a business' photos; usable as soon as they are answered."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool

from serve_apps.access.config import AccessConfig, QueueLimits
from serve_apps.api.openapi import refusals
from serve_apps.api.requests import BusinessId, ReviewsBody, UserId
from serve_apps.api.responses import PhotosKept, ReviewsKept
from serve_apps.api.upload import photos_of, taken
from serve_apps.http import idempotency
from serve_apps.http.asgi import OverloadedError
from serve_apps.observability import metrics
from showcases.catalog import Catalog

RETRY_AFTER_S = 5
KEYED = {"parameters": [idempotency.PARAMETER]}
FORM = {
    **KEYED,
    "requestBody": {
        "description": "Files of JPEG, PNG or WEBP; each field's name is its photo's id. In a field `photos` it is the "
        "file's name. No file at all takes back what was sent before.",
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "additionalProperties": {"type": "string", "format": "binary"}},
                "examples": {"one": {"value": {"ramen-1": "(bytes of a JPEG)"}}},
            }
        },
    },
}


class Backend(Protocol):
    """The catalog, and the Selector's encoder."""

    catalog: Catalog

    async def embed_reviews(self, texts: list[str]) -> list[np.ndarray | None]: ...

    async def embed_photos(self, photos: list[bytes]) -> np.ndarray: ...


class Queue:
    """PUTs of one gateway process."""

    def __init__(self, limits: QueueLimits) -> None:
        self._turns, self._left = asyncio.Semaphore(limits.running), limits.running + limits.waiting

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Waits for its turn, which lasts as long as the block.

        Raises:
            OverloadedError: as many as may wait do.
        """
        if not self._left:
            metrics.REFUSALS.record(stage="arrivals", reason="full")
            raise OverloadedError("arrivals", RETRY_AFTER_S)
        self._left -= 1
        try:
            async with self._turns:
                yield
        finally:
            self._left += 1


def install(api: FastAPI, backend: Backend, access: AccessConfig) -> None:
    """Add the routes."""
    queue = Queue(access.arrivals)
    decoding = ThreadPoolExecutor(access.arrivals.running, "decode")  # one photo each, however many are given up

    @api.put(
        "/v1/users/{user_id}/reviews",
        response_model=ReviewsKept,
        responses=refusals(409),
        openapi_extra=KEYED,
        tags=["content"],
    )
    async def put_user_reviews(user_id: UserId, sent: ReviewsBody, request: Request) -> ReviewsKept:
        """Replace what you sent as a user's reviews: published ones stay, unless one of yours has the same id.

        They count from the next request on, for your tenant alone. The same request again changes nothing.
        """
        rows = [review.model_dump() for review in sent.reviews]
        async with queue.turn():
            vectors = await backend.embed_reviews([row["text"] for row in rows])
            rows = [{**row, "feature": vector} for row, vector in zip(rows, vectors, strict=True)]
            await run_in_threadpool(backend.catalog.put_reviews, user_id, rows, request.state.tenant)
        without = [row["review_id"] for row in rows if row["feature"] is None]
        told = {"request_id": request.state.request_id, "kept": len(rows), "with_feature": len(rows) - len(without)}
        return ReviewsKept(**told, user_id=user_id, without_feature=without)

    @api.put(
        "/v1/businesses/{business_id}/photos",
        response_model=PhotosKept,
        responses=refusals(409),
        openapi_extra=FORM,
        tags=["content"],
    )
    async def put_business_photos(business_id: BusinessId, request: Request) -> PhotosKept:
        """Replace what you sent as a business' photos; published ones stay.

        The id of a published photo, or of one that you sent for another business, is refused with 409. They can be
        shown from the next request on, to your tenant alone. One photo that can't be taken refuses all, and nothing
        changes. Of a file nothing is kept but the picture: no place, no camera.
        """
        limits, form = access.limits, request.headers.get("content-type", "")
        files = await run_in_threadpool(photos_of, await _body(request), form, limits)
        loop = asyncio.get_running_loop()
        rows: list[dict[str, Any]] = []
        async with queue.turn():
            for name in list(files):
                photo = await loop.run_in_executor(decoding, taken, name, files.pop(name), limits)
                rows.append({"photo_id": name, "bytes": photo.data, "width": photo.width, "height": photo.height})
            vectors = await backend.embed_photos([row["bytes"] for row in rows])
            rows = [{**row, "vector": vector} for row, vector in zip(rows, vectors, strict=True)]
            await run_in_threadpool(backend.catalog.put_photos, business_id, rows, request.state.tenant)
        names = [row["photo_id"] for row in rows]
        told: dict[str, Any] = {"request_id": request.state.request_id, "kept": len(names)}
        return PhotosKept(**told, business_id=business_id, photo_ids=names)


async def _body(request: Request) -> bytes:
    """As `request.body()`, but the request keeps no copy."""
    return b"".join([piece async for piece in request.stream() if piece])
