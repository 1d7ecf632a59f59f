"""The upload routes: a user's reviews and a business' photos; visible as soon as the response arrives."""

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
from serve_apps.api.upload import decode_photo, photos_of
from serve_apps.http import idempotency
from serve_apps.http.asgi import OverloadedError
from serve_apps.observability import metrics
from showcases.catalog import Catalog

RETRY_AFTER_S = 5
KEYED = {"parameters": [idempotency.PARAMETER]}
FORM = {
    **KEYED,
    "requestBody": {
        "description": "JPEG, PNG or WEBP files. The field name is the photo id; in a field named `photos`, the file "
        "name is. An empty form deletes the photos uploaded before.",
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
    """Bounds the concurrent and waiting PUTs of one gateway process."""

    def __init__(self, limits: QueueLimits) -> None:
        self._turns, self._left = asyncio.Semaphore(limits.running), limits.running + limits.waiting

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it for the duration of the block.

        Raises:
            OverloadedError: the queue is full.
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
    decoding = ThreadPoolExecutor(
        access.arrivals.running, "decode"
    )  # bounds concurrent decodes, even of cancelled requests

    @api.put(
        "/v1/users/{user_id}/reviews",
        response_model=ReviewsKept,
        responses=refusals(409),
        openapi_extra=KEYED,
        tags=["content"],
    )
    async def put_user_reviews(user_id: UserId, body: ReviewsBody, request: Request) -> ReviewsKept:
        """Replace the reviews you uploaded for a user.

        Published reviews stay unless an uploaded one has the same id. Uploads take effect with the next request and
        are visible to your tenant only. Repeating the request changes nothing.
        """
        rows = [review.model_dump() for review in body.reviews]
        async with queue.turn():
            vectors = await backend.embed_reviews([row["text"] for row in rows])
            rows = [{**row, "feature": vector} for row, vector in zip(rows, vectors, strict=True)]
            await run_in_threadpool(backend.catalog.put_reviews, user_id, rows, request.state.tenant)
        without_feature = [row["review_id"] for row in rows if row["feature"] is None]
        common = {
            "request_id": request.state.request_id,
            "kept": len(rows),
            "with_feature": len(rows) - len(without_feature),
        }
        return ReviewsKept(**common, user_id=user_id, without_feature=without_feature)

    @api.put(
        "/v1/businesses/{business_id}/photos",
        response_model=PhotosKept,
        responses=refusals(409),
        openapi_extra=FORM,
        tags=["content"],
    )
    async def put_business_photos(business_id: BusinessId, request: Request) -> PhotosKept:
        """Replace the photos you uploaded for a business; published ones stay.

        Returns 409 if an id belongs to a published photo or to one you uploaded for another business. Uploads can be
        selected from the next request on, by your tenant only. If any photo is invalid, the whole upload is refused
        and nothing changes. Metadata such as location and camera is removed.
        """
        limits, form = access.limits, request.headers.get("content-type", "")
        files = await run_in_threadpool(photos_of, await _body(request), form, limits)
        loop = asyncio.get_running_loop()
        rows: list[dict[str, Any]] = []
        async with queue.turn():
            for name in list(files):
                photo = await loop.run_in_executor(decoding, decode_photo, name, files.pop(name), limits)
                rows.append({"photo_id": name, "bytes": photo.data, "width": photo.width, "height": photo.height})
            vectors = await backend.embed_photos([row["bytes"] for row in rows])
            rows = [{**row, "vector": vector} for row, vector in zip(rows, vectors, strict=True)]
            await run_in_threadpool(backend.catalog.put_photos, business_id, rows, request.state.tenant)
        names = [row["photo_id"] for row in rows]
        common: dict[str, Any] = {"request_id": request.state.request_id, "kept": len(names)}
        return PhotosKept(**common, business_id=business_id, photo_ids=names)


async def _body(request: Request) -> bytes:
    """Like `request.body()`, but without caching the bytes on the request."""
    return b"".join([piece async for piece in request.stream() if piece])
