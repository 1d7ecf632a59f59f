"""What a tenant sends is there at the next lookup, in every process, for that tenant alone, and outlives a publish."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from showcases.catalog import Catalog, CatalogError, IdTakenError, NotFoundError, existence_index, live, located, tables
from showcases.storage.artifacts import Workspace
from tests.unit.catalog.made_up import ATTACKS, DIM, PHOTOS, REVIEWS, write


def unit(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=DIM)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def review(name: str, business: str = "b0", **more: Any) -> dict[str, Any]:
    return {"review_id": name, "business_id": business, "text": f"Words of {name}.", **more}


def photo(name: str, **more: Any) -> dict[str, Any]:
    return {"photo_id": name, "vector": unit(len(name)), "bytes": name.encode(), "width": 4, "height": 3, **more}


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = str(tmp_path_factory.mktemp("catalog"))
    write(place)
    return place


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant's first PUT waits for so long."""
    monkeypatch.setattr(existence_index, "FRESH_S", 0.02)


@pytest.fixture
def catalog(uri: str) -> Catalog:
    return Catalog.open(uri)


def test_a_new_user_exists_for_their_tenant_alone(catalog: Catalog, uri: str) -> None:
    elsewhere = Catalog.open(uri)  # another reader, opened before
    sent = [review("r1", rating=4.0, feature=unit(1)), review("r2", "b1")]
    catalog.put_reviews("fresh", sent, tenant="a")
    for reader in (catalog, elsewhere):
        found = reader.reviews_of_user("fresh", tenant="a")
        assert sorted(found.ids) == ["r1", "r2"]
        row = found.ids.index("r1")
        assert (found.texts[row], found.ratings[row], found.business_ids[row]) == ("Words of r1.", 4.0, "b0")
        np.testing.assert_allclose(found.features, [unit(1)], atol=1e-3)
        assert reader.photos_of_user("fresh", tenant="a").ids == []
        assert (reader.user("fresh", tenant="a").reviews, reader.user("fresh", tenant="a").photos) == (2, 0)
        for tenant in (None, "b", "A", "a'", "*", "%"):
            for lookup in (reader.user, reader.reviews_of_user, reader.photos_of_user):
                with pytest.raises(NotFoundError):
                    lookup("fresh", tenant=tenant)


def test_a_put_replaces_the_tenants_own_and_no_one_elses(catalog: Catalog) -> None:
    for tenant in ("a", "b"):
        catalog.put_reviews("twice", [review(f"{tenant}1"), review(f"{tenant}2")], tenant)
    catalog.put_reviews("other", [review("o1")], "a")
    for _ in range(2):  # sent again, nothing changes
        catalog.put_reviews("twice", [review("a3")], "a")
        assert catalog.reviews_of_user("twice", "a").ids == ["a3"]
    assert sorted(catalog.reviews_of_user("twice", "b").ids) == ["b1", "b2"]
    assert catalog.reviews_of_user("other", "a").ids == ["o1"]
    catalog.put_reviews("twice", [], "a")
    with pytest.raises(NotFoundError):
        catalog.user("twice", "a")


def test_own_rows_come_with_published_ones_and_stand_for_those_of_the_same_id(catalog: Catalog) -> None:
    published = [row for row in REVIEWS if row["user_id"] == "u0"]
    again = published[0]["review_id"]
    catalog.put_reviews("u0", [review(again), review("u0_more")], "own")
    found = catalog.reviews_of_user("u0", "own")
    assert Counter(found.ids) == Counter([*(row["review_id"] for row in published), "u0_more"])
    assert found.texts[found.ids.index(again)] == f"Words of {again}."
    assert catalog.user("u0", "own").reviews == len(published) + 1
    assert catalog.user("u0", "own").photos == catalog.user("u0").photos
    assert Counter(catalog.reviews_of_user("u0").ids) == Counter(row["review_id"] for row in published)
    assert catalog.user("u0", "other") == catalog.user("u0")


def test_photos_of_a_business(catalog: Catalog) -> None:
    published = {row["photo_id"] for row in PHOTOS if row["business_id"] == "b1"}
    catalog.put_photos("b1", [photo("newer", user_id="u5"), photo("new", user_id="visitor")], "own")
    found = catalog.photos_of_business("b1", "own")
    assert sorted(found.ids) == sorted({*published, "new", "newer"})
    np.testing.assert_allclose(found.vectors[found.ids.index("new")], unit(3), atol=1e-3)
    assert catalog.photo("new", "own").bytes == b"new" and catalog.photo("p1", "own").bytes == b"jpeg of p1"
    assert catalog.business("b1", "own").photos == len(published) + 2
    assert catalog.photos_of_user("visitor", "own").ids == ["new"] and catalog.user("visitor", "own").photos == 1
    for tenant in (None, "other"):
        assert set(catalog.photos_of_business("b1", tenant).ids) == published
        for lookup, name in ((catalog.photo, "new"), (catalog.user, "visitor")):
            with pytest.raises(NotFoundError):
                lookup(name, tenant)


def test_a_new_business_is_one_as_soon_as_it_has_photos(catalog: Catalog) -> None:
    catalog.put_reviews("critic", [review("c1", "fresh-place", rating=3.0)], "own")
    with pytest.raises(NotFoundError):
        catalog.business("fresh-place", "own")
    catalog.put_photos("fresh-place", [photo("f1"), photo("f2")], "own")
    summary = catalog.business("fresh-place", "own")
    assert (summary.photos, summary.reviews, summary.rating) == (2, 1, 3.0)
    assert summary.snippet == "Words of c1." and sorted(summary.photo_ids) == ["f1", "f2"]
    catalog.put_photos("fresh-place", [], "own")
    with pytest.raises(NotFoundError):
        catalog.photos_of_business("fresh-place", "own")


def test_a_photos_id_is_one_photo_of_its_tenant(catalog: Catalog) -> None:
    catalog.put_photos("b1", [photo("mine")], "single")
    with pytest.raises(IdTakenError, match="photo 'mine': you uploaded it for the business 'b1'"):
        catalog.put_photos("b3", [photo("else"), photo("mine")], "single")
    assert "else" not in catalog.photos_of_business("b3", "single").ids
    catalog.put_photos("b3", [photo("mine")], "another")
    catalog.put_photos("b1", [], "single")
    catalog.put_photos("b3", [photo("mine")], "single")
    assert catalog.photo("mine", "single").business_id == "b3"


def test_a_replaced_photo_that_is_not_yet_deleted_is_not_found(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.put_photos("b2", [photo("gone", user_id="g"), photo("kept")], "late")
    monkeypatch.setattr(live, "retry_conflicts", lambda work: None)  # it dies before its deletion
    catalog.put_photos("b2", [photo("kept", user_id="k")], "late")
    assert "gone" not in catalog.photos_of_business("b2", "late").ids
    assert catalog.photos_of_user("k", "late").ids == ["kept"]
    with pytest.raises(NotFoundError):
        catalog.photo("gone", "late")
    with pytest.raises(NotFoundError):
        catalog.user("g", "late")


def test_of_writers_at_once_one_wins_whole(uri: str) -> None:
    failures: list[BaseException] = []

    def send(writer: int) -> None:
        try:
            own = Catalog.open(uri)
            for turn in range(4):
                name = f"w{writer}t{turn}"
                own.put_reviews("busy", [review(f"{name}-{row}") for row in range(3)], "many")
                seen = own.reviews_of_user("busy", "many").ids
                assert len(seen) == 3 and len({one.partition("-")[0] for one in seen}) == 1
        except BaseException as error:
            failures.append(error)

    writers = [threading.Thread(target=send, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert failures == []
    left = Catalog.open(uri).reviews_of_user("busy", "many").ids
    assert len(left) == 3 and {one.partition("-")[0] for one in left} <= {f"w{writer}t3" for writer in range(3)}


def test_a_publish_keeps_them_and_small_files_are_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "FRAGMENTS", 3)
    write(str(tmp_path))
    catalog = Catalog.open(str(tmp_path))
    for number in range(6):
        catalog.put_reviews(f"n{number}", [review(f"r{number}")], "own")
    stats = catalog._opened.live.tables["live_reviews"].stats()
    assert stats["fragment_stats"]["num_fragments"] <= 4 and stats["num_rows"] == 6
    write(str(tmp_path))
    assert catalog.refresh()
    for number in range(6):
        assert catalog.reviews_of_user(f"n{number}", "own").ids == [f"r{number}"]
    plan = (
        catalog._opened.live.tables["live_reviews"].search().where("tenant = 'own' AND user_id = 'n1'").explain_plan()
    )
    assert "ScalarIndexQuery" in plan


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (review(""), "an id has 1 to 250"),
        (review("a\x00b"), "an id has 1 to 250"),
        (review("r", business_id=None), "columns"),
        (review("r", text=None), "columns"),
        (review("r", more=1), "columns"),
        (review("r", text=7), "does not fit"),
        (review("r", rating="five"), "does not fit"),
        (review("r", feature=unit(1)[:4]), "unit vector of 16"),
        (review("r", feature=3 * unit(1)), "unit vector of 16"),
        (review("r", feature=np.full(DIM, np.nan)), "unit vector of 16"),
    ],
)
def test_what_does_not_fit_is_refused_whole(catalog: Catalog, row: dict[str, Any], said: str) -> None:
    with pytest.raises(CatalogError, match=said):
        catalog.put_reviews("careful", [review("fine"), row], "a")
    with pytest.raises(NotFoundError):
        catalog.user("careful", "a")


def test_ids_of_puts_are_checked_and_taken_as_they_are(catalog: Catalog) -> None:
    with pytest.raises(CatalogError, match="duplicate"):
        catalog.put_reviews("careful", [review("r"), review("r")], "a")
    for bad in ("", "a\nb", "a" * 257):
        for user, tenant in ((bad, "a"), ("careful", bad)):
            with pytest.raises(CatalogError, match="an id has 1 to 250"):
                catalog.put_reviews(user, [review("r")], tenant)
    for attack in ATTACKS:
        catalog.put_reviews(attack, [review(f"by {attack}")], tenant=attack)
    for attack in ATTACKS:
        assert catalog.reviews_of_user(attack, tenant=attack).ids == [f"by {attack}"]
        with pytest.raises(NotFoundError):
            catalog.user(attack, tenant="a")


def test_on_s3(s3_server) -> None:
    uri, options = located(Workspace(s3_server.root("live")))
    write(uri, options)
    writer, reader = Catalog.open(uri, options), Catalog.open(uri, options)
    writer.put_reviews("fresh", [review("r1")], "a")
    assert reader.reviews_of_user("fresh", "a").ids == ["r1"]
    writer.put_reviews("fresh", [review("r2")], "a")
    assert reader.reviews_of_user("fresh", "a").ids == ["r2"]
    with pytest.raises(NotFoundError):
        reader.user("fresh", "b")
