"""Nearest photos: the ones that all cosines, worked out one by one, put first."""

from pathlib import Path

import numpy as np
import pytest

from showcases.catalog import Catalog, CatalogError, photos_schema, reviews_schema
from tests.unit.catalog.made_up import DIM, PHOTOS, REVIEWS, SPACE, batches, write


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    uri = str(tmp_path_factory.mktemp("catalog"))
    write(uri)
    return Catalog.open(uri)


def by_hand(rows: list[dict], query: np.ndarray) -> list[tuple[str, float]]:
    query = query / np.linalg.norm(query)
    scored = [(row["photo_id"], float(np.dot(row["vector"].astype(np.float64), query))) for row in rows]
    return sorted(scored, key=lambda pair: -pair[1])


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("business_id", [None, "b2"])
def test_the_same_as_by_hand(catalog: Catalog, count: int, business_id: str | None) -> None:
    queries = 5 * np.random.default_rng(count).normal(size=(count, DIM))
    found = catalog.nearest_photos(queries, 4, business_id)
    rows = [row for row in PHOTOS if business_id in (None, row["business_id"])]
    assert len(found) == count
    for query, near in zip(queries, found, strict=True):
        expected = by_hand(rows, query)[:4]
        assert near.photos.ids == [name for name, _ in expected]
        np.testing.assert_allclose(near.similarities, [cosine for _, cosine in expected], atol=2e-3)
        places = {row["photo_id"]: row["business_id"] for row in PHOTOS}
        assert near.photos.business_ids == [places[name] for name in near.photos.ids]
        vectors = {row["photo_id"]: row["vector"].astype(np.float32) for row in PHOTOS}
        np.testing.assert_array_equal(near.photos.vectors, [vectors[name] for name in near.photos.ids])


def test_fewer_than_k(catalog: Catalog) -> None:
    (near,) = catalog.nearest_photos(np.ones((1, DIM)), 100, "b0")
    assert len(near.photos.ids) == 15
    (none,) = catalog.nearest_photos(np.ones((1, DIM)), 100, "b0' OR '1'='1")
    assert none.photos.ids == [] and none.photos.vectors.shape == (0, DIM) and none.similarities.shape == (0,)


def test_a_tenants_photos_are_among_them_for_that_tenant(catalog: Catalog) -> None:
    query = np.eye(DIM)[2]
    sent = {"photo_id": "mine", "vector": query, "bytes": b"", "width": 1, "height": 1}
    catalog.put_photos("b3", [sent], "own")
    for business_id in (None, "b3"):
        (near,) = catalog.nearest_photos(query[None], 5, business_id, "own")
        assert near.photos.ids[0] == "mine" and near.similarities[0] == pytest.approx(1)
        (public,) = catalog.nearest_photos(query[None], 5, business_id)
        assert near.photos.ids[1:] == public.photos.ids[:4]
        (other,) = catalog.nearest_photos(query[None], 5, business_id, "other")
        assert other.photos.ids == public.photos.ids
    assert "mine" not in catalog.nearest_photos(query[None], 100, "b2", "own")[0].photos.ids


@pytest.mark.parametrize(
    "queries", [np.ones(DIM), np.ones((1, DIM + 1)), np.zeros((1, DIM)), np.full((1, DIM), np.nan)]
)
def test_what_has_no_direction_is_refused(catalog: Catalog, queries: np.ndarray) -> None:
    with pytest.raises(CatalogError, match="vector"):
        catalog.nearest_photos(queries, 3)
    with pytest.raises(CatalogError, match="k = 0"):
        catalog.nearest_photos(np.ones((1, DIM)), 0)


def test_a_large_catalog_goes_by_its_index_and_finds_most(tmp_path: Path) -> None:
    """3,000 photos of 40 topics; ten nearest of 30 queries, against all cosines."""
    random = np.random.default_rng(0)
    topics = random.normal(size=(40, 32))
    vectors = topics[random.integers(0, 40, 3000)] + 0.5 * random.normal(size=(3000, 32))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    rows = [PHOTOS[0] | {"photo_id": f"p{number}", "vector": vector} for number, vector in enumerate(vectors)]
    reviews = [row | {"feature": None} for row in REVIEWS]
    made = batches(rows, photos_schema(32), 1000), batches(reviews, reviews_schema(32))
    Catalog.write(str(tmp_path), *made, SPACE, vector_index_from=3000)
    catalog = Catalog.open(str(tmp_path))
    assert [index.index_type for index in catalog._opened.tables["photos"].list_indices()].count("IvfRq") == 1
    queries = topics[:30] + 0.5 * random.normal(size=(30, 32))
    found = catalog.nearest_photos(queries, 10)
    nearest = np.argsort(-(queries @ vectors.T.astype(np.float64)), axis=1)[:, :10]
    hits = [len(set(near.photos.ids) & {f"p{row}" for row in best}) for near, best in zip(found, nearest, strict=True)]
    assert np.mean(hits) / 10 > 0.9
    for near in found:
        assert (np.diff(near.similarities) <= 1e-6).all()
