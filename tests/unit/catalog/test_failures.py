"""Publishing to an object store that drops connections, is busy, or refuses."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from showcases.catalog import Catalog, located, photos_schema, reviews_schema
from showcases.catalog import failures as store_failures
from showcases.errors import ObjectStoreError
from showcases.storage.artifacts import Workspace
from tests.faulty_proxy import FaultyProxy
from tests.unit.catalog.made_up import DIM, PHOTOS, REVIEWS, SPACE, batches


def publish(workspace: Workspace) -> dict[str, int]:
    uri, options = located(workspace)
    photos, reviews = list(batches(PHOTOS, photos_schema(DIM))), list(batches(REVIEWS, reviews_schema(DIM)))
    return Catalog.write(uri, photos, reviews, SPACE, options)


@pytest.mark.parametrize("seed", range(3))
def test_a_publish_survives_a_store_on_a_bad_day(
    proxy: FaultyProxy, behind: Workspace, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(store_failures, "FIRST_WAIT_S", 0.01)
    uri, options = located(behind)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(proxy, "_dice", type(proxy._dice)(seed))
        proxy.spoil({"PUT reset": 0.08, "PUT lost": 0.08, "503": 0.02}, target="lance")
        rows = publish(behind)
    assert proxy.injected["reset"] and proxy.injected["lost"], proxy.injected
    proxy.spoil({})
    assert rows["photos"] == len(PHOTOS) and rows["reviews"] == len(REVIEWS)
    catalog = Catalog.open(uri, options)
    assert sorted(catalog.photos_of_business("b1").ids) == sorted(
        row["photo_id"] for row in PHOTOS if row["business_id"] == "b1"
    )


@pytest.mark.parametrize(("fault", "message"), [("denied", "access denied"), ("reset", "no complete response")])
def test_a_publish_that_the_store_refuses_is_one_line_with_a_hint(
    proxy: FaultyProxy, behind: Workspace, monkeypatch: pytest.MonkeyPatch, fault: str, message: str
) -> None:
    monkeypatch.setattr(store_failures, "FIRST_WAIT_S", 0.01)
    publish(behind)
    served = located(behind)
    before = Catalog.open(*served).version
    proxy.spoil({f"PUT {fault}": 1.0}, target=r"\.lance")
    with pytest.raises(ObjectStoreError, match=f"^s3://behind-a-proxy/.*{message}") as raised:
        publish(behind)
    assert "\n" not in str(raised.value)
    proxy.spoil({})
    assert Catalog.open(*served).version == before


def test_an_iterator_is_not_written_twice(proxy: FaultyProxy, behind: Workspace) -> None:
    def once() -> Iterator[pa.RecordBatch]:
        yield from batches(PHOTOS, photos_schema(DIM))

    uri, options = located(behind)
    proxy.spoil({"PUT reset": 1.0}, target=r"photos\.lance")
    with pytest.raises(Exception, match="photos"):  # never a table of what was left of the iterator
        Catalog.write(uri, once(), list(batches(REVIEWS, reviews_schema(DIM))), SPACE, options)


def test_failures_that_are_not_the_stores_are_not_repeated() -> None:
    calls: list[Any] = []

    def work() -> None:
        calls.append(None)
        raise ValueError("a column is missing")

    with pytest.raises(ValueError, match="a column is missing"):
        store_failures.retry_store_failures("s3://bucket/key", work)
    assert len(calls) == 1
