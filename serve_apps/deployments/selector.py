"""The selector deployment: looks up people and photos, and selects photos for a person."""

import asyncio
from typing import Any

import numpy as np

from serve_apps.args import ShowcaseArgs
from serve_apps.deployments import uploads
from serve_apps.deployments.batching import Batches
from serve_apps.deployments.catalog_refresh import follow
from serve_apps.deployments.device import torch_device
from serve_apps.deployments.lookup import Lookup, Missing, Selection, SelectionQuery, SelectorInput
from serve_apps.deployments.model_cache import ModelCache, group_by_model
from serve_apps.observability import replica
from serve_apps.observability.context import RequestContext
from serve_apps.rollout import models
from serve_apps.rollout.models import ModelRef
from serve_apps.rollout.registry import weights
from serve_apps.terms import MAX_PHOTOS
from showcases.catalog import CatalogError, NotFoundError
from showcases.selector import SelectorPredictor


class Selector:
    """Looks up queries, embeds new content, and selects photos in batches, off the event loop."""

    def __init__(self, args: ShowcaseArgs, model: ModelRef) -> None:
        self.args = args
        replica.install(args.operations, "Selector")
        self.catalog = models.open_catalog(args)
        self._following = follow(self.catalog, args.rollout.reload_s)
        self.device = torch_device(args.device)
        self.encoder = models.load_encoder(args, self.device)
        self.look_up = Lookup(self.catalog, self.encoder)
        self.versions = ModelCache(self.load)
        self.versions.put(model, self.load(model))
        run = replica.in_batch("select", self.choose)
        self._batches: Batches[tuple[SelectorPredictor, replica.Queued[SelectorInput]], Selection] = Batches(
            lambda wanted: group_by_model(wanted, run)
        )

    def reconfigure(self, options: dict[str, Any]) -> None:
        """Apply `user_config` of config.yaml."""
        replica.lower_priority(options["niceness"])
        self._batches.max_size = options["max_batch_size"]

    def load(self, model: ModelRef) -> SelectorPredictor:
        """Load a version and warm it up with one selection."""
        with weights(self.args, model) as folder:
            predictor = SelectorPredictor(folder, k=MAX_PHOTOS, device=self.device)
        inside = predictor.model
        images = np.full((1, MAX_PHOTOS, inside.image_dim), inside.image_dim**-0.5, np.float32)
        profile = np.full((1, inside.profile_dim), inside.profile_dim**-0.5, np.float32)
        predictor({"profile": profile, "images": images, "n_images": np.array([MAX_PHOTOS])})
        return predictor

    async def ensure(self, model: ModelRef) -> None:
        """Return once this version is loaded and warm."""
        await self.versions.get(model)

    async def select(self, query: SelectionQuery, model: ModelRef, context: RequestContext) -> Selection | Missing:
        """Select photos with this version."""
        with replica.call("select", context, model.version):
            predictor = await self.versions.get(model)
            try:
                with replica.phase("look-up"):
                    inputs = await asyncio.to_thread(self.look_up, query, predictor.model.profile)
            except CatalogError as error:
                return Missing(str(error), isinstance(error, NotFoundError))
            return await self._batches((predictor, replica.Queued(inputs, context)))

    async def embed_reviews(self, texts: list[str]) -> list[np.ndarray | None]:
        return await uploads.embed_reviews(self.encoder, texts)

    async def embed_photos(self, photos: list[bytes]) -> np.ndarray:
        return await uploads.embed_photos(self.encoder, photos)

    def choose(self, predictor: SelectorPredictor, inputs: list[SelectorInput]) -> list[Selection]:
        """Choose photos for a batch of queries."""
        counts = np.array([len(one.candidates.ids) for one in inputs])
        images = np.zeros((len(inputs), counts.max(), self.catalog.dim), np.float32)
        for row, one in enumerate(inputs):
            images[row, : counts[row]] = one.candidates.vectors
        profiles = np.stack([one.profile for one in inputs])
        thetas = np.array([np.nan if one.query.theta is None else one.query.theta for one in inputs])
        with replica.phase("choose"):
            result = predictor({"profile": profiles, "images": images, "n_images": counts, "theta": thetas})
        theta = predictor.model.config.theta
        rows = zip(inputs, result["chosen"], result["relevance"], strict=True)
        return [one.selection(chosen, relevance, theta) for one, chosen, relevance in rows]
