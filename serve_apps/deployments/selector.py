"""The deployment that knows people and photos, and selects those of a business that a person will care about."""

import asyncio
from typing import Any

import numpy as np

from serve_apps.args import ShowcaseArgs
from serve_apps.deployments import uploads
from serve_apps.deployments.batching import Batches
from serve_apps.deployments.catalog_refresh import follow
from serve_apps.deployments.device import torch_device
from serve_apps.deployments.lookup import Asking, Lookup, Missing, Selection, Wish
from serve_apps.deployments.model_cache import Loaded, each_by_its_model
from serve_apps.observability import replica
from serve_apps.observability.context import Carried
from serve_apps.rollout import models
from serve_apps.rollout.models import ModelRef
from serve_apps.rollout.registry import weights
from serve_apps.terms import MAX_PHOTOS
from showcases.catalog import CatalogError, NotFoundError
from showcases.selector import SelectorPredictor


class Selector:
    """Looks up, embeds what is new, and selects in batches off the event loop."""

    def __init__(self, args: ShowcaseArgs, model: ModelRef) -> None:
        self.args = args
        replica.install(args.operations, "Selector")
        self.catalog = models.open_catalog(args)
        self._following = follow(self.catalog, args.rollout.reload_s)
        self.device = torch_device(args.device)
        self.encoder = models.load_encoder(args, self.device)
        self.look_up = Lookup(self.catalog, self.encoder)
        self.versions = Loaded(self.load)
        self.versions.put(model, self.load(model))
        run = replica.in_batch("select", self.choose)
        self._batches: Batches[tuple[SelectorPredictor, replica.Queued[Asking]], Selection] = Batches(
            lambda wanted: each_by_its_model(wanted, run)
        )

    def reconfigure(self, options: dict[str, Any]) -> None:
        """From config.yaml."""
        replica.give_way(options["niceness"])
        self._batches.max_size = options["max_batch_size"]

    def load(self, model: ModelRef) -> SelectorPredictor:
        """A version that has chosen once, so that the first request finds it warm."""
        with weights(self.args, model) as folder:
            predictor = SelectorPredictor(folder, k=MAX_PHOTOS, device=self.device)
        inside = predictor.model
        images = np.full((1, MAX_PHOTOS, inside.image_dim), inside.image_dim**-0.5, np.float32)
        profile = np.full((1, inside.profile_dim), inside.profile_dim**-0.5, np.float32)
        predictor({"profile": profile, "images": images, "n_images": np.array([MAX_PHOTOS])})
        return predictor

    async def ensure(self, model: ModelRef) -> None:
        """Returns once this version is loaded and warm."""
        await self.versions.get(model)

    async def select(self, wish: Wish, model: ModelRef, carried: Carried) -> Selection | Missing:
        """Select photos by this version."""
        with replica.call("select", carried, model.version):
            predictor = await self.versions.get(model)
            try:
                with replica.phase("look-up"):
                    asking = await asyncio.to_thread(self.look_up, wish, predictor.model.profile)
            except CatalogError as error:
                return Missing(str(error), isinstance(error, NotFoundError))
            return await self._batches((predictor, replica.Queued(asking, carried)))

    async def embed_reviews(self, texts: list[str]) -> list[np.ndarray | None]:
        return await uploads.embed_reviews(self.encoder, texts)

    async def embed_photos(self, photos: list[bytes]) -> np.ndarray:
        return await uploads.embed_photos(self.encoder, photos)

    def choose(self, predictor: SelectorPredictor, asked: list[Asking]) -> list[Selection]:
        """Choose photos for each."""
        counts = np.array([len(one.candidates.ids) for one in asked])
        images = np.zeros((len(asked), counts.max(), self.catalog.dim), np.float32)
        for row, one in enumerate(asked):
            images[row, : counts[row]] = one.candidates.vectors
        profiles = np.stack([one.profile for one in asked])
        thetas = np.array([np.nan if one.wish.theta is None else one.wish.theta for one in asked])
        with replica.phase("choose"):
            result = predictor({"profile": profiles, "images": images, "n_images": counts, "theta": thetas})
        theta = predictor.model.config.theta
        rows = zip(asked, result["chosen"], result["relevance"], strict=True)
        return [one.selection(chosen, relevance, theta) for one, chosen, relevance in rows]
