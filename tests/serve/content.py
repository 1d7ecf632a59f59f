"""What the tests of new content share: a real small catalog behind the real routes, a tiny encoder, pictures."""

import asyncio
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI
from PIL import Image

from serve_apps.access.config import AccessConfig
from serve_apps.api.app import create_api
from serve_apps.deployments import uploads
from serve_apps.deployments.generator import CitedSentence, Draft, TextOptions
from serve_apps.deployments.lookup import Lookup, Selection, SelectionQuery
from serve_apps.http.idempotency import IdempotencyStore
from serve_apps.rollout.models import Bundle, ModelRef
from showcases.catalog import Catalog
from showcases.clip import ClipEncoder
from showcases.storage.artifacts import Workspace
from tests.unit.catalog.made_up import DIM


def tiny_encoder() -> ClipEncoder:
    """Random weights, vectors as long as the made-up catalog's."""
    from showcases.clip import model
    from showcases.clip.config import TrainClipConfig

    small = TrainClipConfig(image_size=32, embed_dim=DIM, width=8, text_width=32, text_layers=1, backbone=None)
    config = model.small_config(small)
    return ClipEncoder(model.build(config), config, "tiny")


class Models:
    """Stands for the two deployments: the encoder is real, what is selected are the first photos of the lookup."""

    def __init__(self, uri: str, encoder: ClipEncoder) -> None:
        refs = (ModelRef(name, "1", "champion", "nowhere", "nowhere") for name in ("selector", "generator"))
        bundle = Bundle(*refs, "space")
        self.champions: Any = SimpleNamespace(
            answering=lambda key: bundle,
            champion=bundle,
            candidate=None,
            rolled_back={},
            config=SimpleNamespace(candidate_share=0),
        )
        self.catalog, self.encoder = Catalog.open(uri), encoder
        self.look_up = Lookup(Catalog.open(uri), encoder)  # a replica's own
        self.feedback: Any = SimpleNamespace()
        self.idempotency = IdempotencyStore(Workspace(str(Path(uri).parent)))
        self.queries: list[SelectionQuery] = []

    async def embed_reviews(self, texts: list[str]) -> list[np.ndarray | None]:
        return await uploads.embed_reviews(self.encoder, texts)

    async def embed_photos(self, photos: list[bytes]) -> np.ndarray:
        return await uploads.embed_photos(self.encoder, photos)

    async def select(self, query: SelectionQuery, bundle: Bundle) -> Selection:
        self.queries.append(query)
        asking = self.look_up(query, "img+text")
        rows = np.arange(len(asking.candidates.ids))
        return asking.selection(rows, np.ones(len(rows)), theta=3.0)

    async def write(self, selection: Selection, how: TextOptions, bundle: Bundle) -> list[Draft]:
        return [Draft([CitedSentence("The soup.", selection.photo_ids[:1], 0.9)], 0, [])] * how.n

    async def finish(self, text: str, selection: Selection, how: TextOptions, bundle: Bundle) -> Draft:
        return (await self.write(selection, how, bundle))[0]

    async def stream(self, selection: Selection, how: TextOptions, bundle: Bundle) -> Any:
        yield "The soup."

    async def models_ready(self) -> bool:
        return True


class Client:
    """Requests with one key, or with none, to the routes without a socket."""

    def __init__(self, api: FastAPI, token: str | None = None) -> None:
        self.api, self.headers = api, {"authorization": f"Bearer {token}"} if token else {}

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        [answer] = self.together((method, path, options))
        return answer

    def together(self, *requests: tuple[str, str, dict[str, Any]]) -> list[httpx.Response]:
        """All at once."""

        async def run() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app=self.api)
            async with httpx.AsyncClient(transport=transport, base_url="http://service", timeout=60) as client:
                sent = (client.request(one, path, headers=self.headers, **more) for one, path, more in requests)
                return await asyncio.gather(*sent)

        return asyncio.run(run())

    def sending(self, **headers: str) -> "Client":
        """The same client with more headers, e.g. content_type."""
        other = Client(self.api)
        other.headers = self.headers | {name.replace("_", "-"): value for name, value in headers.items()}
        return other

    def put_photos(self, business: str, photos: dict[str, bytes]) -> httpx.Response:
        return self("PUT", f"/v1/businesses/{business}/photos", files=form(photos))


def form(photos: dict[str, bytes]) -> list[tuple[str, tuple[str, bytes, str]]]:
    """As httpx takes files: each field is named by its photo's id."""
    return [(name, ("camera.jpg", data, "application/octet-stream")) for name, data in photos.items()]


def make_api(uri: str | Path, encoder: ClipEncoder, access: AccessConfig | None = None) -> FastAPI:
    models = Models(str(uri), encoder)
    api = create_api(models, access)
    api.state.models = models
    return api


def jpeg(seed: int = 0, kind: str = "JPEG", size: tuple[int, int] = (48, 40)) -> bytes:
    """A picture with a place in its EXIF."""
    noise = np.random.default_rng(seed).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
    exif = Image.Exif()
    place = exif.get_ifd(0x8825)
    place[1], place[2] = "N", (48.0, 51.0, 29.0)
    exif[0x010F] = "CameraMaker"
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, kind, exif=exif)
    return stream.getvalue()
