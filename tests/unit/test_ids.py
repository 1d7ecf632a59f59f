"""Composed ids: no two pairs give one, and each is taken apart into what it was made of."""

from itertools import product

import pyarrow as pa
import pytest

from showcases.gest.building.matched import explanations, split_ids
from showcases.gest.reading.past_reviews import readings, resolve
from showcases.ids import MAX_ID_LENGTH, PHOTO_ID, is_id, review_id, review_of, sentence_id, split_review_id

NAMES = ["".join(name) for length in (1, 2, 3) for name in product("ab_%:", repeat=length)]
REVIEWS = {(user, business): review_id(user, business) for user in NAMES for business in NAMES}


def test_no_two_users_and_businesses_make_one_review_id() -> None:
    assert len(set(REVIEWS.values())) == len(NAMES) ** 2
    assert all(split_review_id(name) == pair for pair, name in REVIEWS.items())
    assert all("_" not in name.split("_")[0] for name in REVIEWS.values())


def test_official_ids_stay_as_they_are() -> None:
    user, business = "117481526373915230418", "604be10877fc1a3e5a9d2b6f"
    assert review_id(user, business) == f"{user}_{business}"


def test_no_two_sentences_have_one_id_and_every_reader_finds_the_review() -> None:
    names = [name for (user, _), name in REVIEWS.items() if len(user) == 1]
    made = {(name, number): sentence_id(name, number) for name in names for number in (0, 1, 11)}
    assert len(set(made.values())) == len(made)
    assert all(review_of(said) == name for (name, _), said in made.items())
    reviews, numbers = split_ids(pa.array(made.values()))
    assert list(zip(reviews.to_pylist(), numbers.tolist(), strict=True)) == list(made)


def test_sentences_of_odd_reviews_are_matched_to_them() -> None:
    names = ["a_b:1", "a_b", "a:0_b"]
    reviews = pa.table({"review_id": pa.chunked_array([names]), "sentences": pa.chunked_array([[["s", "t"]] * 3])})
    said = explanations(reviews, pa.array([sentence_id("a_b:1", 0), sentence_id("a_b", 1), sentence_id("a:0_b", 1)]))
    assert said.to_pylist() == ["s", "t", "t"]


def test_a_past_reviews_id_is_read_both_ways() -> None:
    published = {f"{user}_{business}": (user, business) for user, business in REVIEWS}
    for name in published:
        assert len(set(readings(name))) == len(readings(name))
    for (user, business), escaped in REVIEWS.items():
        for name in (f"{user}_{business}", escaped):
            assert (user, business) in readings(name)
            found = resolve(name, user, {escaped}.__contains__)
            assert found.user_id == user or found.is_ambiguous
    assert resolve("1_2", "9", lambda _: False) == resolve("1_2", "1", lambda _: True)  # one reading: no doubt
    assert not resolve("1_2", "9", lambda _: False).is_ambiguous


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("a", True), ("ü ñ", True), ("x" * MAX_ID_LENGTH, True), ("x" * (MAX_ID_LENGTH + 1), False),
        ("", False), (" ", False), ("\u3000", False), ("a\nb", False), ("a\0", False), ("\ud83d", False),
        ("\u202eb", False),
    ],
)  # fmt: skip
def test_what_an_id_may_be(name: str, allowed: bool) -> None:
    assert is_id(name) is allowed


def test_a_photos_id_is_a_file_name_of_any_suffix() -> None:
    assert PHOTO_ID.fullmatch("x" * MAX_ID_LENGTH) and not PHOTO_ID.fullmatch("x" * (MAX_ID_LENGTH + 1))
    assert len("x" * MAX_ID_LENGTH + ".jpeg") <= 255
    assert not any(PHOTO_ID.fullmatch(bad) for bad in ("", "a.b", "a/b", "..", "a b", "ü", "a\n"))


def test_the_service_and_the_catalog_have_the_same_limit() -> None:
    from pydantic import TypeAdapter

    from serve_apps.api.requests import Identifier
    from showcases.catalog.filters import CatalogError, checked_id

    schema = TypeAdapter(Identifier).json_schema()
    assert (schema["minLength"], schema["maxLength"]) == (1, MAX_ID_LENGTH)
    assert checked_id("x" * MAX_ID_LENGTH, "user")
    for bad in ("x" * (MAX_ID_LENGTH + 1), "", " ", "a\nb"):
        with pytest.raises(CatalogError, match=f"1 to {MAX_ID_LENGTH} printable"):
            checked_id(bad, "user")
