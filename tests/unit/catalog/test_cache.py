"""What was looked up lately is not looked up again: never more than allowed, never another version's or tenant's."""

from pathlib import Path
from typing import Any

import pytest

from showcases.catalog import Catalog, opened, photos_schema, reviews_schema
from tests.unit.catalog.made_up import DIM, PHOTOS, REVIEWS, SPACE, batches, write


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The filters that published rows are looked up by."""
    found: list[str] = []
    find = opened.find

    def counted(table: Any, where: str, *more: Any) -> Any:
        found.append(where)
        return find(table, where, *more)

    monkeypatch.setattr(opened, "find", counted)
    return found


def test_a_catalog_looks_up_once_until_it_is_another_version(tmp_path: Path, looks: list[str]) -> None:
    write(str(tmp_path))
    catalog, plain = Catalog.open(str(tmp_path), keep_bytes=10**6), Catalog.open(str(tmp_path))
    user, place = PHOTOS[0]["user_id"], PHOTOS[0]["business_id"]
    for _ in range(2):
        assert catalog.photos_of_business(place).ids == [p["photo_id"] for p in PHOTOS if p["business_id"] == place]
        assert len(catalog.photos_of_user(user).ids) == sum(p["user_id"] == user for p in PHOTOS)
    assert len(looks) == 2
    small = Catalog.open(str(tmp_path), keep_bytes=10)  # rows of more than that are not cached
    for one in (plain, small):
        assert one.photos_of_user(user).ids and one.photos_of_user(user).ids
    assert len(looks) == 6

    photos, reviews = batches(PHOTOS[:1], photos_schema(DIM)), batches(REVIEWS[:1], reviews_schema(DIM))
    Catalog.write(str(tmp_path), photos, reviews, SPACE)
    assert len(catalog.photos_of_user(user).ids) > 1  # still on the old version
    assert catalog.refresh()
    assert catalog.photos_of_user(user).ids == ["p0"] and len(looks) == 7


def test_what_a_tenant_put_is_seen_beside_what_is_kept(tmp_path: Path) -> None:
    write(str(tmp_path))
    catalog = Catalog.open(str(tmp_path), keep_bytes=10**6)
    user = PHOTOS[0]["user_id"]
    before = catalog.reviews_of_user(user, "mine").ids
    catalog.put_reviews(user, [{"review_id": "new", "business_id": "b0", "text": "Words."}], "mine")
    assert set(catalog.reviews_of_user(user, "mine").ids) == {*before, "new"}
    assert catalog.reviews_of_user(user, "other").ids == catalog.reviews_of_user(user).ids == before
