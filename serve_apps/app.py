"""The composed application: gateway, selector, generator. `build_app` is what `serve deploy` imports."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from functools import partial

import numpy as np
from fastapi import FastAPI
from ray import serve
from ray.serve import Application
from ray.serve.exceptions import RequestCancelledError
from ray.serve.handle import DeploymentHandle

from serve_apps.api.app import create_api
from serve_apps.api.feedback import FeedbackStore
from serve_apps.args import ShowcaseArgs, deployment_options
from serve_apps.deployments import retries
from serve_apps.deployments.catalog_refresh import follow
from serve_apps.deployments.generator import Draft, Generator, TextOptions
from serve_apps.deployments.lookup import Missing, Selection, SelectionQuery
from serve_apps.deployments.selector import Selector
from serve_apps.http.asgi import RefusedError
from serve_apps.http.idempotency import IdempotencyStore
from serve_apps.observability.context import current_context
from serve_apps.rollout import models
from serve_apps.rollout.champions import Champions, align_of
from serve_apps.rollout.models import Bundle, Parts
from serve_apps.rollout.registry import Registry, keep_served, resolve

READY_TIMEOUT_S = 5
WARM_TIMEOUT_S = 300
LOGGING = {"log_level": "INFO", "enable_access_log": False}  # serve_apps.observability logs requests
NOT_THE_MODEL = (RefusedError, RequestCancelledError)  # errors that don't count against a model


@serve.ingress()
class Gateway:
    """Serves the HTTP API and calls the selector, then the generator of the same bundle."""

    def __init__(
        self, args: ShowcaseArgs, bundle: Bundle, parts: Parts, selector: DeploymentHandle, generator: DeploymentHandle
    ) -> None:
        self.catalog, self._args = models.open_catalog(args), args
        self.feedback = FeedbackStore(args.workspace)
        self.idempotency = IdempotencyStore(args.workspace)
        self._selector, self._generator = selector, generator
        keep = partial(keep_served, args, parts)
        self.champions = Champions(bundle, args.rollout, Registry(args, parts), self.warm, keep)
        self._following = follow(self.catalog, args.rollout.reload_s)
        self._watching = asyncio.get_running_loop().create_task(self.champions.watch())

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_api(self, self._args.access, self._args.operations)

    async def warm(self, bundle: Bundle) -> None:
        """Load and warm up the bundle on every replica; replicas started later do so on their first request."""
        pairs = ((self._selector, bundle.selector), (self._generator, bundle.generator))
        loading = (handle.broadcast("ensure", model).results_async(timeout_s=WARM_TIMEOUT_S) for handle, model in pairs)
        await asyncio.gather(*loading)

    async def select(self, query: SelectionQuery, bundle: Bundle) -> Selection:
        """
        Raises:
            CatalogError: an id of the query is unknown or invalid.
        """
        with self._record_failure(bundle):
            selection = await retries.call(
                "selector", lambda: self._selector.select.remote(query, bundle.selector, current_context())
            )
        if isinstance(selection, Missing):
            raise selection.error()
        self.champions.record_call(bundle, failed=False)
        return selection

    async def write(self, selection: Selection, options: TextOptions, bundle: Bundle) -> list[Draft]:
        with self._record_failure(bundle):
            drafts = await retries.call(
                "generator",
                lambda: self._generator.write.remote(selection, options, bundle.generator, current_context()),
            )
        self._record_text(bundle, drafts[0])
        return drafts

    async def stream(self, selection: Selection, options: TextOptions, bundle: Bundle) -> AsyncIterator[str]:
        with self._record_failure(bundle):
            async for piece in retries.stream("generator", lambda: self._pieces(selection, options, bundle)):
                yield piece

    async def _pieces(self, selection: Selection, options: TextOptions, bundle: Bundle) -> AsyncIterator[str]:
        pieces = self._generator.options(stream=True).stream.remote(
            selection, options, bundle.generator, current_context()
        )
        try:
            async for piece in pieces:  # type: ignore[union-attr]  # options(stream=True) returns a generator
                yield piece
        except (asyncio.CancelledError, GeneratorExit):  # the deadline, or the client disconnected
            pieces.cancel()
            raise

    async def finish(self, text: str, selection: Selection, options: TextOptions, bundle: Bundle) -> Draft:
        with self._record_failure(bundle):
            draft = await retries.call(
                "generator",
                lambda: self._generator.finish.remote(text, selection, options, bundle.generator, current_context()),
            )
        self._record_text(bundle, draft)
        return draft

    async def embed_reviews(self, texts: list[str]) -> list[np.ndarray | None]:
        return await retries.call("selector", lambda: self._selector.embed_reviews.remote(texts))

    async def embed_photos(self, photos: list[bytes]) -> np.ndarray:
        return await retries.call("selector", lambda: self._selector.embed_photos.remote(photos))

    @contextlib.contextmanager
    def _record_failure(self, bundle: Bundle) -> Iterator[None]:
        try:
            yield
        except NOT_THE_MODEL:
            raise
        except Exception:
            self.champions.record_call(bundle, failed=True)
            raise

    def _record_text(self, bundle: Bundle, draft: Draft) -> None:
        self.champions.record_call(bundle, failed=False, align=align_of([row.score for row in draft.sentences]))

    async def models_ready(self) -> bool:
        """Whether each model has a running replica, by Serve's status; a call would have to queue."""
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                status = await asyncio.to_thread(serve.status)
            deployments = status.applications[serve.get_replica_context().app_name].deployments
            states = (deployments[model.__name__].replica_states for model in (Selector, Generator))
            return all(any(count and state == "RUNNING" for state, count in found.items()) for found in states)
        except Exception:  # status unknown counts as not ready
            return False


def build_app(args: ShowcaseArgs, num_gpus: float | None = None) -> Application:
    """Bind the application.

    Args:
        num_gpus: GPUs per replica of each model; default from config.yaml.

    Raises:
        ModelError: a model is missing, or the parts don't match.
        CatalogError: there is no catalog.
    """
    parts = Parts.of(args)
    bundle = resolve(args, parts)
    selector = _deployment(Selector, num_gpus).bind(args, bundle.selector)
    generator = _deployment(Generator, num_gpus).bind(args, bundle.generator)
    return _deployment(Gateway).bind(args, bundle, parts, selector, generator)


def _deployment(kind: type, num_gpus: float | None = None) -> serve.Deployment:
    return serve.deployment(**deployment_options(kind.__name__, num_gpus), name=kind.__name__, logging_config=LOGGING)(
        kind
    )
