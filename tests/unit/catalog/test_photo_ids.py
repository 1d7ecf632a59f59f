"""A photo's id names one photo of a tenant, whoever else sends at the same time; what is published stays as it is."""

import multiprocessing
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from showcases.catalog import (
    Catalog,
    IdTakenError,
    NotFoundError,
    existence_index,
    locks,
    photos_schema,
    reviews_schema,
)
from tests.unit.catalog.made_up import DIM, PHOTOS, REVIEWS, SPACE, batches, write
from tests.unit.catalog.test_live import photo, review

PAIRS = 16  # without the lock each is lost more often than not


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(existence_index, "FRESH_S", 0.02)


def send(uri: str, business: str, start, answers) -> None:
    """Put each photo id into one business, as the process at the other end does at the same time into another one."""
    catalog, took = Catalog.open(uri), []
    for number in range(PAIRS):
        start.wait()
        try:
            catalog.put_photos(f"{business}-{number}", [photo(f"pair-{number}")], "many")
            took.append(200)
        except IdTakenError:
            took.append(409)
    answers.put((business, took))


@pytest.mark.server
def test_of_two_processes_that_send_one_id_for_two_businesses_one_is_taken(tmp_path: Path) -> None:
    write(str(tmp_path))
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(2), context.Queue()
    senders = [context.Process(target=send, args=(str(tmp_path), name, start, answers)) for name in ("left", "right")]
    for sender in senders:
        sender.start()
    took = dict(answers.get(timeout=120) for _ in senders)
    for sender in senders:
        sender.join(30)
    assert Counter(tuple(sorted(pair)) for pair in zip(took["left"], took["right"], strict=True)) == {(200, 409): PAIRS}
    catalog = Catalog.open(str(tmp_path))
    for number in range(PAIRS):
        first, second = ("left", "right") if took["left"][number] == 200 else ("right", "left")
        if number < 5:  # sent again, both get the same answer
            catalog.put_photos(f"{first}-{number}", [photo(f"pair-{number}")], "many")
            with pytest.raises(IdTakenError):
                catalog.put_photos(f"{second}-{number}", [photo(f"pair-{number}")], "many")
        assert catalog.photo(f"pair-{number}", "many").business_id == f"{first}-{number}"
        with pytest.raises(NotFoundError):
            catalog.photos_of_business(f"{second}-{number}", "many")


@pytest.mark.parametrize("business", ["b1", "b0", "new-place"])  # p1 is one of b1
def test_a_published_id_is_taken(tmp_path: Path, business: str) -> None:
    write(str(tmp_path))
    catalog = Catalog.open(str(tmp_path))
    catalog.put_photos(business, [photo("first")], "own")
    with pytest.raises(IdTakenError, match="photo 'p1': a published photo has this id; choose another one"):
        catalog.put_photos(business, [photo("second"), photo("p1")], "own")
    assert {"first"} <= set(catalog.photos_of_business(business, "own").ids)
    assert "second" not in catalog.photos_of_business(business, "own").ids  # all of it or nothing
    assert catalog.photo("p1", "own") == catalog.photo("p1")


def test_what_is_published_later_goes_before_what_was_sent_under_its_id(tmp_path: Path) -> None:
    write(str(tmp_path))
    catalog = Catalog.open(str(tmp_path))
    catalog.put_photos("b2", [photo("late", user_id="u1"), photo("other", user_id="u1")], "own")
    later = {**PHOTOS[0], "photo_id": "late", "business_id": "b3", "user_id": "u2", "bytes": b"published"}
    photos = batches([*PHOTOS, later], photos_schema(DIM))
    Catalog.write(str(tmp_path), iter(photos), iter(batches(REVIEWS, reviews_schema(DIM))), SPACE)
    assert catalog.refresh()
    shown = catalog.photo("late", "own")
    assert (shown.business_id, shown.bytes, shown.own) == ("b3", b"published", False)
    assert catalog.photos(["late"], "own").business_ids == ["b3"]
    assert "late" not in catalog.photos_of_business("b2", "own").ids
    assert "late" not in catalog.photos_of_user("u1", "own").ids
    assert catalog.photos_of_business("b3", "own").ids == catalog.photos_of_business("b3").ids
    for name in ("b2", "b3"):
        assert catalog.business(name, "own").photos == len(catalog.photos_of_business(name, "own").ids)
    catalog.put_photos("b2", [photo("renamed")], "own")  # and its tenant is not caught by it
    assert "renamed" in catalog.photos_of_business("b2", "own").ids


def test_of_two_users_reviews_with_one_id_both_are_shown(tmp_path: Path) -> None:
    write(str(tmp_path))
    catalog = Catalog.open(str(tmp_path))
    published = next(row for row in REVIEWS if row["user_id"] == "u0")
    before = catalog.business(published["business_id"]).reviews
    catalog.put_reviews("somebody", [review(published["review_id"], published["business_id"])], "own")
    assert catalog.business(published["business_id"], "own").reviews == before + 1
    assert catalog.reviews_of_user("u0", "own").texts == catalog.reviews_of_user("u0").texts


def test_a_writer_that_slept_longer_than_its_lock_takes_back_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(str(tmp_path))
    slow, quick = Catalog.open(str(tmp_path)), Catalog.open(str(tmp_path))
    quick.put_photos("b0", [photo("before")], "own")
    slow.put_photos("b1", [photo("kept")], "own")
    monkeypatch.setattr(locks, "LEASE_S", 0.1)
    checked, go_on = threading.Event(), threading.Event()
    require_free = type(slow._opened).require_free
    errors: list[BaseException] = []

    def paused(opened, ids, business, tenant) -> None:
        require_free(opened, ids, business, tenant)
        if business == "b1" and not checked.is_set():
            checked.set()
            go_on.wait(30)

    def late() -> None:
        try:
            slow.put_photos("b1", [photo("same")], "own")
        except IdTakenError as error:
            errors.append(error)

    monkeypatch.setattr(type(slow._opened), "require_free", paused)
    thread = threading.Thread(target=late)
    thread.start()
    assert checked.wait(30)
    quick.put_photos("b0", [photo("same")], "own")  # waits until the lease has ended
    go_on.set()
    thread.join(30)
    assert len(errors) == 1 and quick.photo("same", "own").business_id == "b0"
    assert (
        "kept" in quick.photos_of_business("b1", "own").ids and "same" not in quick.photos_of_business("b1", "own").ids
    )
    assert np.isclose(np.linalg.norm(quick.photos(["same"], "own").vectors), 1, atol=1e-2)
