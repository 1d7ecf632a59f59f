"""The composed application: gateway, selector, generator. `build_app` is what `serve deploy` imports."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from serve_apps import models
from serve_apps.access.deadline import cancelling
from serve_apps.api import create_api
from serve_apps.args import ShowcaseArgs, deployment_options
from serve_apps.feedback import FeedbackStore
from serve_apps.generator import Candidate, Generator, How
from serve_apps.models import Bundle
from serve_apps.selector import Selection, Selector, Wish

READY_TIMEOUT_S = 5


@serve.ingress()
class Gateway:
    """Takes HTTP in and asks the two models, one after the other."""

    def __init__(
        self, args: ShowcaseArgs, bundle: Bundle, selector: DeploymentHandle, generator: DeploymentHandle
    ) -> None:
        self.catalog, self.bundle, self._access = models.open_catalog(args), bundle, args.access
        self.feedback = FeedbackStore(args.workspace)
        self._selector, self._generator = selector, generator

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_api(self, self._access)

    async def select(self, wish: Wish) -> Selection:
        return await cancelling(self._selector.select.remote(wish))

    async def write(self, selection: Selection, how: How) -> list[Candidate]:
        return await cancelling(self._generator.write.remote((selection, how)))

    async def stream(self, selection: Selection, how: How) -> AsyncIterator[str]:
        pieces = self._generator.options(stream=True).stream.remote(selection, how)
        try:
            async for piece in pieces:  # type: ignore[union-attr]  # by options(stream=True) they can be iterated over
                yield piece
        except (asyncio.CancelledError, GeneratorExit):  # the deadline, or nobody listens any more
            pieces.cancel()
            raise

    async def finish(self, text: str, selection: Selection, how: How) -> Candidate:
        return await cancelling(self._generator.finish.remote(text, selection, how))

    async def models_ready(self) -> bool:
        """Whether both models answer within READY_TIMEOUT_S."""
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                return bool(await self._selector.ready.remote() and await self._generator.ready.remote())
        except Exception:  # whatever keeps a model from answering, it isn't ready
            return False


def build_app(args: ShowcaseArgs) -> Application:
    """Bind the application.

    Raises:
        ModelError: a model is missing, or the parts do not belong together.
        CatalogError: there is no catalog.
    """
    bundle = models.resolve(args)
    selector = _deployment(Selector).bind(args, bundle.selector)
    generator = _deployment(Generator).bind(args, bundle.generator)
    return _deployment(Gateway).bind(args, bundle, selector, generator)


def _deployment(kind: type) -> serve.Deployment:
    return serve.deployment(**deployment_options(kind.__name__), name=kind.__name__)(kind)
