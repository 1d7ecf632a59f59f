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
from serve_apps.deployments.generator import Candidate, Generator, How
from serve_apps.deployments.lookup import Missing, Selection, Wish
from serve_apps.deployments.selector import Selector
from serve_apps.http.asgi import RefusedError
from serve_apps.http.idempotency import IdempotencyStore
from serve_apps.observability.context import carried
from serve_apps.rollout import models
from serve_apps.rollout.champions import Champions, align_of
from serve_apps.rollout.models import Bundle, Parts
from serve_apps.rollout.registry import Registry, keep_served, resolve

READY_TIMEOUT_S = 5
WARM_TIMEOUT_S = 300
LOGGING = {"log_level": "INFO", "enable_access_log": False}  # one line a request is serve_apps.observability' own
NOT_THE_MODEL = (RefusedError, RequestCancelledError)  # of what can go wrong


@serve.ingress()
class Gateway:
    """Takes HTTP in and asks the two models, one after the other, both of one bundle."""

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
        """Have every replica load it and answer once; one that is started later does so at its first request."""
        pairs = ((self._selector, bundle.selector), (self._generator, bundle.generator))
        loading = (handle.broadcast("ensure", model).results_async(timeout_s=WARM_TIMEOUT_S) for handle, model in pairs)
        await asyncio.gather(*loading)

    async def select(self, wish: Wish, bundle: Bundle) -> Selection:
        """
        Raises:
            CatalogError: an id of the wish isn't known, or can't be one.
        """
        with self._told_if_failed(bundle):
            selection = await retries.call(
                "selector", lambda: self._selector.select.remote(wish, bundle.selector, carried())
            )
        if isinstance(selection, Missing):
            raise selection.error()
        self.champions.tell(bundle, failed=False)
        return selection

    async def write(self, selection: Selection, how: How, bundle: Bundle) -> list[Candidate]:
        with self._told_if_failed(bundle):
            candidates = await retries.call(
                "generator", lambda: self._generator.write.remote(selection, how, bundle.generator, carried())
            )
        self._tell_text(bundle, candidates[0])
        return candidates

    async def stream(self, selection: Selection, how: How, bundle: Bundle) -> AsyncIterator[str]:
        with self._told_if_failed(bundle):
            async for piece in retries.stream("generator", lambda: self._pieces(selection, how, bundle)):
                yield piece

    async def _pieces(self, selection: Selection, how: How, bundle: Bundle) -> AsyncIterator[str]:
        pieces = self._generator.options(stream=True).stream.remote(selection, how, bundle.generator, carried())
        try:
            async for piece in pieces:  # type: ignore[union-attr]  # by options(stream=True) they can be iterated over
                yield piece
        except (asyncio.CancelledError, GeneratorExit):  # the deadline, or nobody listens any more
            pieces.cancel()
            raise

    async def finish(self, text: str, selection: Selection, how: How, bundle: Bundle) -> Candidate:
        with self._told_if_failed(bundle):
            candidate = await retries.call(
                "generator",
                lambda: self._generator.finish.remote(text, selection, how, bundle.generator, carried()),
            )
        self._tell_text(bundle, candidate)
        return candidate

    async def embed_reviews(self, texts: list[str]) -> list[np.ndarray | None]:
        return await retries.call("selector", lambda: self._selector.embed_reviews.remote(texts))

    async def embed_photos(self, photos: list[bytes]) -> np.ndarray:
        return await retries.call("selector", lambda: self._selector.embed_photos.remote(photos))

    @contextlib.contextmanager
    def _told_if_failed(self, bundle: Bundle) -> Iterator[None]:
        try:
            yield
        except NOT_THE_MODEL:
            raise
        except Exception:
            self.champions.tell(bundle, failed=True)
            raise

    def _tell_text(self, bundle: Bundle, candidate: Candidate) -> None:
        self.champions.tell(bundle, failed=False, align=align_of([row.score for row in candidate.sentences]))

    async def models_ready(self) -> bool:
        """Whether Serve has a running replica of each model; a call of theirs would wait in its queue."""
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                status = await asyncio.to_thread(serve.status)
            deployments = status.applications[serve.get_replica_context().app_name].deployments
            states = (deployments[model.__name__].replica_states for model in (Selector, Generator))
            return all(any(count and state == "RUNNING" for state, count in found.items()) for found in states)
        except Exception:  # whatever keeps Serve from saying so, they aren't ready
            return False


def build_app(args: ShowcaseArgs, num_gpus: float | None = None) -> Application:
    """Bind the application.

    Args:
        num_gpus: of each replica of the two models; by default config.yaml's.

    Raises:
        ModelError: a model is missing, or the parts do not belong together.
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
