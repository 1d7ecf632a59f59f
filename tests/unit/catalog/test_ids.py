"""Whatever is sent as an id is refused or taken literally: made-up ids of what breaks filters, in every lookup."""

from collections.abc import Callable

import numpy as np
import pytest

from showcases.catalog import Catalog, CatalogError, NotFoundError, photos_schema, reviews_schema
from tests.unit.catalog.made_up import ATTACKS, DIM, PHOTOS, REVIEWS, SPACE, batches

PIECES = [
    *"'\"\\%_;`*()[]{}<>=?:$#@!,.|&^~-+/ \t\n\r\x00\x1b",
    "--",
    "/*",
    "*/",
    "''",
    "\\'",
    "'\\''",
    "‘",
    "’",
    "ʼ",
    "＇",
]
PIECES += [
    "﹪",
    "OR",
    "AND",
    "NULL",
    "true",
    "1=1",
    "b0",
    "u0",
    "p0",
    "..",
    "../",
    "%27",
    "\u202e",
    "\ufeff",
    "é",
    "e\u0301",
]
TRIES = 60


def made_up_ids(seed: int, count: int) -> list[str]:
    random = np.random.default_rng(seed)
    return ["".join(random.choice(PIECES, size=random.integers(1, 9))) for _ in range(count)]


STORED = sorted({name for name in made_up_ids(0, 60) if name.isprintable()} | {name for name in ATTACKS})


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Every odd id is a photo, a business and a user of its own, beside plain ones."""
    uri = str(tmp_path_factory.mktemp("catalog"))
    odd = [
        PHOTOS[0] | {"photo_id": name, "business_id": name, "user_id": name, "review_id": f"{name}_{name}"}
        for name in STORED
    ]
    said = [REVIEWS[0] | {"review_id": f"{name}_{name}", "business_id": name, "user_id": name} for name in STORED]
    photos, reviews = batches([*PHOTOS, *odd], photos_schema(DIM)), batches([*REVIEWS, *said], reviews_schema(DIM))
    Catalog.write(uri, photos, reviews, SPACE)
    made = Catalog.open(uri)
    for name in STORED[::9]:
        made.put_reviews(name, [{"review_id": f"own {name}", "business_id": name, "text": "Mine."}], tenant=name)
    return made


def lookups(catalog: Catalog, tenant: str | None) -> list[Callable[[str], list[str]]]:
    """Each gives the ids of what it found, which must all be the id asked for."""
    return [
        lambda name: catalog.photos_of_business(name, tenant).business_ids,
        lambda name: catalog.photos_of_user(name, tenant).ids,
        lambda name: catalog.reviews_of_user(name, tenant).business_ids,
        lambda name: [catalog.photo(name, tenant).photo_id],
        lambda name: [catalog.business(name, tenant).business_id],
        lambda name: [catalog.user(name, tenant).user_id],
    ]


def test_stored_ids_are_matched_literally(catalog: Catalog) -> None:
    for name in STORED:
        for tenant in (None, name):
            for lookup in lookups(catalog, tenant):
                assert set(lookup(name)) == {name}
        expected = 2 if name in STORED[::9] else 1
        assert len(catalog.reviews_of_user(name, name).ids) == expected
        assert len(catalog.reviews_of_user(name).ids) == 1


def test_other_ids_find_nothing(catalog: Catalog) -> None:
    known = {*STORED, *(row[key] for row in PHOTOS for key in ("photo_id", "business_id", "user_id"))}
    strange = [name for name in made_up_ids(1, TRIES) if name not in known]
    refused = 0
    for name in strange:
        for lookup in lookups(catalog, None if len(name) % 2 else "someone"):
            try:
                assert lookup(name) == []  # of nearest photos
            except NotFoundError:
                continue
            except CatalogError as error:
                assert "an id has 1 to 250" in str(error) and not (name.isprintable() and name.strip())
                refused += 1
    assert len(strange) > TRIES / 2 and refused


def test_a_tenant_is_an_id_too(catalog: Catalog) -> None:
    name = STORED[0]
    published = catalog.reviews_of_user(name).ids
    for tenant in made_up_ids(2, TRIES):
        if tenant in STORED:
            continue
        try:
            assert catalog.reviews_of_user(name, tenant).ids == published
        except CatalogError as error:
            assert "tenant id" in str(error) and not (tenant.isprintable() and tenant.strip())


def test_ids_never_become_paths(catalog: Catalog) -> None:
    """Nothing that was asked above has made or read a file outside the catalog's own names."""
    from pathlib import Path

    names = {path.name.partition("-")[0] for path in Path(catalog.uri).iterdir()}
    assert names == {"current.json", "publishing.json", "v", "live"}
