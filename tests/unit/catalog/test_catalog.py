"""The catalog answers what a loop over all rows would answer, and nothing else, whatever the ids look like."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from showcases.catalog import Catalog, CatalogError, NotFoundError, located, photos_schema, reviews_schema
from showcases.errors import ShowcasesError
from showcases.storage.artifacts import Workspace
from tests.unit.catalog.made_up import ATTACKS, DIM, ODD_USER, PHOTOS, REVIEWS, SPACE, batches, write


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    uri = str(tmp_path_factory.mktemp("catalog"))
    write(uri)
    return Catalog.open(uri)


def test_space_and_dim_are_kept(catalog: Catalog) -> None:
    assert (catalog.embedding_space, catalog.dim) == (SPACE, DIM)


@pytest.mark.parametrize("business_id", ["b0", "b1", "b2", "b3"])
def test_photos_of_business(catalog: Catalog, business_id: str) -> None:
    expected = {row["photo_id"]: row["vector"] for row in PHOTOS if row["business_id"] == business_id}
    found = catalog.photos_of_business(business_id)
    assert len(found.ids) == 15 and set(found.ids) == set(expected)
    for name, vector in zip(found.ids, found.vectors, strict=True):
        np.testing.assert_array_equal(vector, expected[name].astype(np.float32))


@pytest.mark.parametrize("user_id", ["u0", "u6", ODD_USER])
def test_photos_and_reviews_of_user(catalog: Catalog, user_id: str) -> None:
    photos, reviews = catalog.photos_of_user(user_id), catalog.reviews_of_user(user_id)
    assert set(photos.ids) == {row["photo_id"] for row in PHOTOS if row["user_id"] == user_id}
    expected = {row["review_id"]: row for row in REVIEWS if row["user_id"] == user_id}
    assert set(reviews.ids) == set(expected)
    for row, name in enumerate(reviews.ids):
        wanted = expected[name]
        assert reviews.texts[row] == wanted["text"] and reviews.ratings[row] == wanted["rating"]
        assert reviews.embedded[row] == (wanted["feature"] is not None)
        vector = np.zeros(DIM) if wanted["feature"] is None else wanted["feature"]
        np.testing.assert_array_equal(reviews.vectors[row], vector.astype(np.float32))
    assert len(reviews.features) == sum(row["feature"] is not None for row in expected.values())


def test_elsewhere_leaves_one_business_out(catalog: Catalog) -> None:
    photos, reviews = catalog.photos_of_user("u0").elsewhere("b0"), catalog.reviews_of_user("u0").elsewhere("b0")
    posted = [row for row in PHOTOS if row["user_id"] == "u0" and row["business_id"] != "b0"]
    assert set(photos.ids) == {row["photo_id"] for row in posted}
    assert photos.vectors.shape == (len(posted), DIM)
    assert set(reviews.ids) == {row["review_id"] for row in posted}
    assert reviews.vectors.shape == (len(reviews.ids), DIM) and reviews.embedded.shape == (len(reviews.ids),)


def test_photo(catalog: Catalog) -> None:
    photo = catalog.photo("p17")
    assert (photo.bytes, photo.width, photo.height, photo.business_id) == (b"jpeg of p17", 117, 80, "b1")


def test_a_user_who_posted_no_photos_is_a_user(catalog: Catalog) -> None:
    photos = catalog.photos_of_user("silent")
    assert photos.ids == [] and photos.vectors.shape == (0, DIM)
    assert catalog.reviews_of_user("silent").ids == ["silent_b0", "silent_b9"]
    assert catalog.user("silent").reviews == 2


def test_summaries_count_what_a_loop_counts(catalog: Catalog) -> None:
    businesses = {row.business_id: row for row in catalog.businesses(limit=100).rows}
    assert set(businesses) == {"b0", "b1", "b2", "b3"}  # b9 has words, but no photos to show
    for name, row in businesses.items():
        reviews = [review for review in REVIEWS if review["business_id"] == name]
        ratings = [review["rating"] for review in reviews if review["rating"] is not None]
        assert (row.photos, row.reviews) == (15, len(reviews))
        assert row.rating == pytest.approx(sum(ratings) / len(ratings))
        assert len(row.photo_ids) == 4 and set(row.photo_ids) <= set(catalog.photos_of_business(name).ids)
        posted_in = {photo["photo_id"]: photo["review_id"] for photo in PHOTOS}
        assert len({posted_in[photo_id] for photo_id in row.photo_ids}) == 4  # not four of one plate
        nearest = min(abs(len(review["text"]) - 140) for review in reviews)
        assert abs(len(row.snippet) - 140) == nearest
    users = catalog.users(limit=100).rows
    assert [row.photos for row in users] == sorted((row.photos for row in users), reverse=True)
    assert sum(row.photos for row in users) == len(PHOTOS) and sum(row.reviews for row in users) == len(REVIEWS)
    assert users[-1].user_id == "silent" and users[-1].photo_ids == []


def test_limit_and_query(catalog: Catalog) -> None:
    assert len(catalog.users(limit=3).rows) == 3
    assert [row.user_id for row in catalog.users(query="HARA").rows] == [ODD_USER]
    assert len(catalog.users(query="gyoza").rows) == 8
    assert [row.user_id for row in catalog.users(query="100%_").rows] == [ODD_USER]  # wildcards mean themselves
    assert catalog.users(query="x' OR '1'='1").rows == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_ids_cannot_widen_a_filter(catalog: Catalog, attack: str) -> None:
    for lookup in (
        catalog.photos_of_business,
        catalog.photos_of_user,
        catalog.reviews_of_user,
        catalog.photo,
        catalog.business,
        catalog.user,
    ):
        with pytest.raises(NotFoundError):
            lookup(attack)
    assert catalog.served()[1]["photos"] == len(PHOTOS)


@pytest.mark.parametrize("bad", ["", "a" * 257, "a\nb", "a\x00b", "‮b0"])
def test_what_cannot_be_an_id_is_refused(catalog: Catalog, bad: str) -> None:
    with pytest.raises(CatalogError, match="an id has 1 to 250"):
        catalog.photos_of_business(bad)


def test_not_found_names_what_and_is_a_showcases_error(catalog: Catalog) -> None:
    with pytest.raises(ShowcasesError, match="no business 'b77'"):
        catalog.photos_of_business("b77")


def test_lookups_use_the_indexes(catalog: Catalog) -> None:
    for table, column in (("photos", "business_id"), ("photos", "user_id"), ("photos", "photo_id")):
        plan = catalog._opened.tables[table].search().where(f"{column} = 'b0'").explain_plan()
        assert "ScalarIndexQuery" in plan


def test_writing_again_replaces(tmp_path: Path) -> None:
    write(str(tmp_path))
    schema = photos_schema(DIM)
    Catalog.write(str(tmp_path), batches(PHOTOS[:8], schema), batches(REVIEWS[:2], reviews_schema(DIM)), "other#1")
    catalog = Catalog.open(str(tmp_path))
    assert catalog.embedding_space == "other#1"
    assert (catalog.served()[1]["photos"], catalog.served()[1]["reviews"]) == (8, 2)


def test_an_empty_catalog_is_written_and_read(tmp_path: Path) -> None:
    photos, reviews = photos_schema(DIM), reviews_schema(DIM)
    nothing = [pa.RecordBatch.from_pylist([], schema=photos)], [pa.RecordBatch.from_pylist([], schema=reviews)]
    Catalog.write(str(tmp_path), *nothing, SPACE)
    catalog = Catalog.open(str(tmp_path))
    assert catalog.users().rows == [] and catalog.businesses().rows == []
    with pytest.raises(NotFoundError):
        catalog.photo("p0")


def test_no_catalog_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"no catalog found .* jobs\.publish"):
        Catalog.open(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("root", "uri", "options"),
    [
        (
            "s3://bucket/some/prefix?endpoint_override=http://127.0.0.1:9000&region=eu-central-1",
            "s3://bucket/some/prefix/catalog",
            {"endpoint": "http://127.0.0.1:9000", "allow_http": "true", "region": "eu-central-1"},
        ),
        (
            "s3://key:se%2Fcret@bucket/prefix?endpoint_override=localhost:9000&scheme=http&region=us-east-1",
            "s3://bucket/prefix/catalog",
            {
                "endpoint": "http://localhost:9000",
                "allow_http": "true",
                "region": "us-east-1",
                "access_key_id": "key",
                "secret_access_key": "se/cret",
            },
        ),
        ("s3://bucket/prefix?region=us-east-1", "s3://bucket/prefix/catalog", {"region": "us-east-1"}),
    ],
)
def test_an_s3_workspace_in_the_words_of_lancedb(root: str, uri: str, options: dict[str, str]) -> None:
    assert located(Workspace(root)) == (uri, options)


def test_on_s3_over_http(s3_server) -> None:
    uri, options = located(Workspace(s3_server.root("catalogs")))
    assert write(uri, options)["photos"] == len(PHOTOS)
    catalog = Catalog.open(uri, options)
    assert len(catalog.photos_of_business("b2").ids) == 15
    assert catalog.photo("p3").bytes == b"jpeg of p3"
    with pytest.raises(NotFoundError):
        catalog.photos_of_user("x' OR '1'='1")
