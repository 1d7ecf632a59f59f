"""The whole HTTP interface over a real catalog of made-up rows and models that answer at once; no Ray, no registry."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from fastapi import FastAPI

from serve_apps.access.config import AccessConfig
from serve_apps.api import create_api
from serve_apps.feedback import FeedbackStore
from serve_apps.generator import Candidate, How, Written
from serve_apps.models import Bundle, ModelRef
from serve_apps.selector import Selection, Wish
from showcases.artifacts import Workspace
from showcases.catalog import Catalog
from tests.unit.catalog.made_up import DIM, write


class Models:
    """Chooses the first photos and says one sentence of them."""

    def __init__(self, root: Path) -> None:
        refs = (ModelRef(f"showcases-{name}", "1", "champion", "nowhere", "nowhere") for name in ("selector", "writer"))
        bundle = Bundle(*refs, "space")
        config = SimpleNamespace(candidate_share=0.0)
        self.champions = SimpleNamespace(
            answering=lambda key: bundle, champion=bundle, candidate=None, config=config, rolled_back={}
        )
        write(str(root / "catalog"))
        self.catalog = Catalog.open(str(root / "catalog"))
        self.feedback = FeedbackStore(Workspace(str(root)))

    async def select(self, wish: Wish, bundle: Bundle) -> Selection:
        pool = wish.photo_ids or self.catalog.photos_of_business(wish.business_id or "").ids
        chosen = pool[: wish.k]
        photos, reviews = np.zeros((len(chosen), DIM)), np.zeros((0, DIM))
        return Selection(chosen, [1.0] * len(chosen), photos, reviews, len(wish.keywords or []), 0, 0)

    async def write(self, selection: Selection, how: How, bundle: Bundle) -> list[Candidate]:
        return [Candidate([Written("The soup.", selection.photo_ids[:1], 0.9)], 0, [])] * how.n

    async def stream(self, selection: Selection, how: How, bundle: Bundle) -> AsyncIterator[str]:
        yield "The soup."

    async def finish(self, text: str, selection: Selection, how: How, bundle: Bundle) -> Candidate:
        return Candidate([Written(text, selection.photo_ids[:1], 0.9)], 0, [])

    async def models_ready(self) -> bool:
        return True


def stub_api(root: Path, access: AccessConfig | None = None) -> FastAPI:
    """The application; `root` is an empty folder."""
    return create_api(Models(root), access)
