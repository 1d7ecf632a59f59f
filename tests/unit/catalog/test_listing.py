"""Pages of users and businesses: each row once and in order, whatever the page size, also while a version comes."""

from pathlib import Path

import pytest

from showcases.catalog import Catalog, CatalogError, photos_schema, reviews_schema
from tests.unit.catalog.made_up import DIM, PHOTOS, REVIEWS, SPACE, batches, write

MANY = [{**PHOTOS[0], "photo_id": f"m{n}", "user_id": f"user-{n % 130}", "review_id": f"m{n}"} for n in range(300)]


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = str(tmp_path_factory.mktemp("listing"))
    publish(place)
    return place


def publish(place: str, more: list[dict] | None = None) -> None:
    photos = batches([*PHOTOS, *MANY, *(more or [])], photos_schema(DIM), 500)
    Catalog.write(place, iter(photos), iter(batches(REVIEWS, reviews_schema(DIM))), SPACE)


def walk(catalog: Catalog, size: int, query: str = "") -> tuple[list, int]:
    rows, after, total = [], None, None
    while True:
        found = catalog.users(size, query, after)
        assert len(found.rows) == size or found.after is None
        assert total in (None, found.total)
        rows, after, total = [*rows, *found.rows], found.after, found.total
        if after is None:
            return rows, total


@pytest.mark.parametrize("size", [1, 7, 137, 1000])
def test_every_user_comes_once(uri: str, size: int) -> None:
    rows, total = walk(Catalog.open(uri), size)
    expected = {row["user_id"] for row in [*PHOTOS, *MANY, *REVIEWS]}
    assert len(rows) == total == len(expected) and {row.user_id for row in rows} == expected
    order = [(-row.photos, -row.reviews, row.user_id) for row in rows]
    assert order == sorted(order)


def test_a_query_is_paged_and_counted_too(uri: str) -> None:
    rows, total = walk(Catalog.open(uri), 4, "USER-1")
    assert total == len(rows) == len({row.user_id for row in rows}) == 41  # user-1, -10 to -19, -100 to -129
    assert walk(Catalog.open(uri), 3, "nobody has this") == ([], 0)


def test_businesses_are_paged_too(uri: str) -> None:
    catalog = Catalog.open(uri)
    first = catalog.businesses(3)
    second = catalog.businesses(3, after=first.after)
    assert len({row.business_id for row in [*first.rows, *second.rows]}) == 4 == first.total == second.total
    assert second.after is None


def test_a_page_goes_on_in_the_next_version(tmp_path: Path) -> None:
    publish(str(tmp_path))
    catalog = Catalog.open(str(tmp_path))
    first = catalog.users(50)
    publish(
        str(tmp_path), [{**PHOTOS[0], "photo_id": f"n{n}", "user_id": "newcomer", "review_id": "n"} for n in range(99)]
    )
    assert catalog.refresh()
    later, after = [], first.after
    while after is not None:
        found = catalog.users(50, after=after)
        later, after = [*later, *found.rows], found.after
    names = [row.user_id for row in [*first.rows, *later]]
    assert len(names) == len(set(names)) == found.total - 1  # the newcomer's place is on the first page


@pytest.mark.parametrize(
    "place",
    [(1, 1, ""), (1, 1, "a\x00"), (-1, 1, "a"), (2**63, 1, "a"), (1, "1 OR 1=1", "a"), (True, 1, "a"), (1, "a")],
)
def test_a_place_that_is_none(tmp_path: Path, place: tuple) -> None:
    write(str(tmp_path))
    with pytest.raises(CatalogError):
        Catalog.open(str(tmp_path)).users(after=place)
