"""Reading GEST-raw: forms, rules, faults, splits."""

import json
from pathlib import Path

import pytest

from showcases.errors import CorpusError
from showcases.gest.config import IngestConfig
from showcases.gest.official import Corpus, read_raw, split_users

TEXT = "The ramen was rich. Parking was easy."


def pic(name: str) -> dict[str, object]:
    return {"id": name, "url": [f"https://lh5.googleusercontent.com/p/{name}=w150-h150-k-no-p"]}


def row(**changes: object) -> dict[str, object]:
    base = {"business_id": "b1", "user_id": "u1", "rating": 4, "review_text": TEXT, "pics": [pic("p1")]}
    return {**base, **changes}


def read(tmp_path: Path, *rows: object) -> Corpus:
    path = tmp_path / "image_review_all.json"
    path.write_bytes(b"\n".join(r if isinstance(r, bytes) else json.dumps(r).encode() for r in rows))
    return read_raw(path, IngestConfig(), seed=0)


def test_a_review_becomes_a_row_and_its_photos_become_rows(tmp_path: Path) -> None:
    corpus = read(tmp_path, row(pics=[pic("p1"), "p2"]))
    (review,) = corpus.reviews.to_pylist()
    assert review["review_id"] == "u1_b1"
    assert review["sentences"] == ["The ramen was rich.", "Parking was easy."]
    assert review["photo_ids"] == ["p1", "p2"]
    assert review["text"] == TEXT
    assert [(p["photo_id"], p["url"]) for p in corpus.photos.to_pylist()] == [
        ("p1", "https://lh5.googleusercontent.com/p/p1=w150-h150-k-no-p"),
        ("p2", None),
    ]
    assert corpus.left_out == {}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(), "duplicate review"),
        (row(user_id="u2", review_text="Too short here"), "fewer than 5 words"),
        (row(user_id="u2", review_text=""), "empty text"),
        (row(user_id="u2", review_text=None), "empty text"),
        (row(user_id="u2", pics=[]), "no photo"),
        (row(user_id="u2", pics=[pic(f"q{i}") for i in range(11)]), "more than 10 photos"),
        (row(user_id="u2", review_text=5), "a field is missing or of a wrong type"),
        ({"business_id": "b1"}, "a field is missing or of a wrong type"),
        ([1, 2], "a field is missing or of a wrong type"),
        (b"{not json", "not JSON, or not UTF-8"),
        (b'{"user_id": "\xff\xfe"}', "not JSON, or not UTF-8"),
    ],
)
def test_what_breaks_a_rule_is_left_out_and_counted(tmp_path: Path, bad: object, reason: str) -> None:
    corpus = read(tmp_path, row(), bad)
    assert corpus.reviews.num_rows == 1
    assert corpus.left_out == {reason: 1}


def test_ten_photos_and_five_words_are_kept(tmp_path: Path) -> None:
    corpus = read(tmp_path, row(review_text="one two three four five", pics=[f"q{i}" for i in range(10)]))
    assert corpus.photos.num_rows == 10


def test_a_photo_belongs_to_the_first_review_that_shows_it(tmp_path: Path) -> None:
    corpus = read(tmp_path, row(), row(user_id="u2", pics=[pic("p1"), pic("p3")]))
    assert [(p["photo_id"], p["user_id"]) for p in corpus.photos.to_pylist()] == [("p1", "u1"), ("p3", "u2")]
    assert corpus.left_out == {"photo of an earlier review": 1}


def test_only_the_english_half_of_a_translated_text_is_cut_into_sentences(tmp_path: Path) -> None:
    text = "(Translated by Google) Very good soup. Come here.\n\n(Original)\nMuy buena sopa. Ven aquí."
    corpus = read(tmp_path, row(review_text=text))
    (review,) = corpus.reviews.to_pylist()
    assert review["sentences"] == ["Very good soup.", "Come here."]
    assert review["text"] == text


def test_no_file_and_no_review_say_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such file"):
        read_raw(tmp_path / "absent.json", IngestConfig(), 0)
    with pytest.raises(CorpusError, match="business_id, user_id, rating, review_text, pics"):
        read(tmp_path, {"train": [], "val": [], "test": []})


def test_users_are_split_8_1_1_and_stay_where_they_are() -> None:
    users = {f"u{i}" for i in range(1000)}
    split = split_users(users, seed=0)
    assert [sum(s == name for s in split.values()) for name in ("train", "val", "test")] == [800, 100, 100]
    assert split == split_users(set(sorted(users)), seed=0)
    assert split != split_users(users, seed=1)


def test_the_real_file_is_read_and_every_line_accounted_for(shared_data: Path) -> None:
    path = shared_data / "google-local" / "image_review_all.json"
    corpus = read_raw(path, IngestConfig(), 0)
    lines = sum(1 for line in path.read_bytes().splitlines() if line.strip())
    reviews = {name: n for name, n in corpus.left_out.items() if name != "photo of an earlier review"}
    assert corpus.reviews.num_rows + sum(reviews.values()) == lines
    assert corpus.reviews.num_rows > 900
