"""What is published while the service runs is served, without a restart; a store that fails harms nobody."""

import asyncio
import importlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_apps.deployments.catalog_refresh import follow
from showcases.catalog import Catalog, photos_schema, reviews_schema
from tests.serve.content import jpeg, make_api, tiny_encoder
from tests.unit.catalog.made_up import DIM, PHOTOS, REVIEWS, SPACE, batches, write


def publish(uri: str) -> None:
    """A version with one photo more."""
    new = {**PHOTOS[0], "photo_id": "new-photo", "business_id": "new-place", "bytes": jpeg()}
    photos = batches([*PHOTOS, new], photos_schema(DIM))
    Catalog.write(uri, photos, batches(REVIEWS, reviews_schema(DIM)), SPACE)


@pytest.fixture
def said() -> Iterator[list[str]]:
    """What is logged. Importing ray.serve, as the first metric does, takes all handlers from its logger."""
    importlib.import_module("ray.serve")
    lines: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger("ray.serve").addHandler(handler)
    yield lines
    logging.getLogger("ray.serve").removeHandler(handler)


def test_a_publish_is_served_by_a_running_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]) -> None:
    uri = str(tmp_path)
    write(uri)
    api = make_api(uri, tiny_encoder())
    catalog, refresh = api.state.models.catalog, Catalog.refresh
    away, tried = [True], []

    def fails_at_first(self: Catalog) -> bool:
        tried.append(self)
        if away[0]:
            raise OSError("the store is away")
        return refresh(self)

    monkeypatch.setattr(Catalog, "refresh", fails_at_first)

    async def scene() -> None:
        transport = httpx.ASGITransport(app=api)
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:

            async def ready() -> dict[str, Any]:
                return (await client.get("/readyz")).json()

            following = follow(catalog, 0.01)
            assert following is not None
            before = await ready()
            await asyncio.to_thread(publish, uri)
            while len(tried) < 5:
                await asyncio.sleep(0.01)
            assert (await ready()) == before and before["catalog_version"] == catalog.version
            assert (await client.get("/v1/photos/new-photo")).status_code == 404
            away[0] = False
            while (now := await ready())["catalog_version"] == before["catalog_version"]:
                await asyncio.sleep(0.01)
            assert now["catalog"]["photos"] == before["catalog"]["photos"] + 1
            assert (await client.get("/v1/photos/new-photo")).content == jpeg()
            while said[-1] != f"the catalog is now {catalog.version}":  # said after it is so
                await asyncio.sleep(0.01)
            following.cancel()

    asyncio.run(scene())
    assert sum("the store is away" in line for line in said) == 1
    assert sum(line == f"the catalog is now {catalog.version}" for line in said) == 1


def test_a_script_without_a_loop_follows_nothing(tmp_path: Path) -> None:
    write(str(tmp_path))
    assert follow(Catalog.open(str(tmp_path)), 1) is None
