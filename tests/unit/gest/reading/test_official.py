"""Reading GEST-raw: forms, rules, faults, places, splits, and blocks against a plain loop over the whole file."""

import gzip
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from showcases.errors import CorpusError
from showcases.gest.config import IngestConfig
from showcases.gest.reading.official import Corpus, read_raw, split_users
from showcases.gest.reading.rejects import Reason
from showcases_demo import MiniConfig
from showcases_demo.world import build_world
from showcases_demo.writer import official_rows

TEXT = "The ramen was rich. Parking was easy."


def pic(name: str) -> dict[str, object]:
    return {"id": name, "url": [f"https://lh5.googleusercontent.com/p/{name}=w150-h150-k-no-p"]}


def row(**changes: object) -> dict[str, object]:
    base = {"business_id": "b1", "user_id": "u1", "rating": 4, "review_text": TEXT, "pics": [pic("p1")]}
    return {**base, **changes}


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in row(user_id="u2").items() if key != name}


def as_lines(*rows: object) -> list[bytes]:
    return [r if isinstance(r, bytes) else json.dumps(r).encode() for r in rows]


def read(tmp_path: Path, *rows: object, **options: Any) -> Corpus:
    path = tmp_path / "image_review_all.json"
    path.write_bytes(b"\n".join(as_lines(*rows)))
    return read_raw(path, IngestConfig(**options), seed=0)


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
    assert corpus.left_out == {} and corpus.rejects.num_rows == 0


@pytest.mark.parametrize(
    ("short", "reason"),
    [
        (row(user_id="u2", review_text="Too short here"), "fewer than 5 words"),
        (row(user_id="u2", review_text=""), "empty text"),
        (row(user_id="u2", review_text=None), "empty text"),
        (row(user_id="u2", pics=[]), "no photo"),
        (row(user_id="u2", pics=None), "no photo"),
        (row(user_id="u2", pics=[pic(f"q{i}") for i in range(11)]), "more than 10 photos"),
    ],
)
def test_what_breaks_a_rule_of_the_paper_is_left_out_and_counted(tmp_path: Path, short: object, reason: str) -> None:
    corpus = read(tmp_path, row(), short)
    assert corpus.reviews.num_rows == 1
    assert corpus.left_out == {reason: 1} and corpus.rejects.num_rows == 0


MALFORMED = [
    (row(), Reason.DUPLICATE_REVIEW),
    (row(review_text="Short"), Reason.DUPLICATE_REVIEW),
    (row(user_id="u2", review_text=5), Reason.WRONG_TYPE),
    (row(user_id="u2", pics={"id": "p"}), Reason.WRONG_TYPE),
    (row(user_id="u2", rating="4"), Reason.WRONG_TYPE),
    (row(user_id="u2", rating=True), Reason.WRONG_TYPE),
    (row(user_id=1.0e20), Reason.WRONG_TYPE),
    (without("pics"), Reason.MISSING_FIELD),
    (without("business_id"), Reason.MISSING_FIELD),
    ([1, 2], Reason.NOT_AN_OBJECT),
    (b"17", Reason.NOT_AN_OBJECT),
    (b"{not json", Reason.NOT_JSON),
    (b"[" * 100_000, Reason.NOT_JSON),
    (b'{"user_id": ' + b"9" * 5000 + b"}", Reason.NOT_JSON),
    (json.dumps(row(user_id="u2")).encode()[:-5], Reason.NOT_JSON),
    (b'{"user_id": "\xff\xfe"}', Reason.INVALID_UTF8),
    (json.dumps(row(user_id="u2")).encode("utf-16"), Reason.INVALID_UTF8),
    (json.dumps(row(user_id="u2", review_text="half an emoji \ud83d and five words")).encode(), Reason.INVALID_UTF8),
    (row(user_id="u2", rating=0), Reason.BAD_RATING),
    (row(user_id="u2", rating=5.5), Reason.BAD_RATING),
    (row(user_id="u2", rating=float("nan")), Reason.BAD_RATING),
    (row(user_id="u2", rating=float("-inf")), Reason.BAD_RATING),
    (row(user_id="u2", rating=10**400), Reason.BAD_RATING),
    (row(user_id=""), Reason.BAD_ID),
    (row(user_id="line\nbreak"), Reason.BAD_ID),
    (row(user_id="u" * 500), Reason.BAD_ID),
    (row(user_id="u" * 130, business_id="b" * 130), Reason.BAD_ID),  # together too long for a review's id
    (row(user_id="_" * 90), Reason.BAD_ID),
    (row(user_id="u2", review_text="word " * 25_000), Reason.LINE_TOO_LONG),
]


@pytest.mark.parametrize(("bad", "reason"), MALFORMED)
@pytest.mark.parametrize("block_kb", [8192, 1])
def test_a_malformed_line_is_rejected_with_place_and_reason(
    tmp_path: Path, bad: object, reason: Reason, block_kb: int
) -> None:
    lines = as_lines(row(), b"", bad, row(user_id="u3", pics=["p3"]))
    bad_line = lines[2].split(b"\n")[0]  # UTF-16 holds the byte of a line's end too
    corpus = read(tmp_path, *lines, block_kb=block_kb, max_line_kb=98)
    assert corpus.reviews["user_id"].to_pylist() == ["u1", "u3"]
    reject = corpus.rejects.to_pylist()[0]
    assert reject["reason"] == reason and reject["detail"]
    assert (reject["line"], reject["offset"]) == (3, len(lines[0]) + 2)
    assert reject["raw"] == bad_line[:1000]
    assert reject["file"] == str(tmp_path / "image_review_all.json")
    assert corpus.left_out[reason] == 1


def test_ten_photos_five_words_and_whole_numbers_as_ids_are_kept(tmp_path: Path) -> None:
    text = "one two three four five"
    corpus = read(tmp_path, row(user_id=10**20 + 1, rating=None, review_text=text, pics=[f"q{i}" for i in range(10)]))
    (review,) = corpus.reviews.to_pylist()
    assert (review["user_id"], review["rating"]) == ("100000000000000000001", None)
    assert corpus.photos.num_rows == 10


def test_a_byte_order_mark_and_windows_line_ends_are_no_fault(tmp_path: Path) -> None:
    first, second = as_lines(row(), row(user_id="u2", pics=["p2"]))
    corpus = read(tmp_path, b"\xef\xbb\xbf" + first + b"\r", second + b"\r")
    assert corpus.reviews.num_rows == 2 and corpus.left_out == {}


def test_a_photo_belongs_to_the_first_review_that_shows_it(tmp_path: Path) -> None:
    rows = (row(), row(user_id="u2", pics=[pic("p1"), pic("p3")]), row(user_id="u3", pics=["p3"]))
    corpus = read(tmp_path, *rows)
    assert [(p["photo_id"], p["user_id"]) for p in corpus.photos.to_pylist()] == [("p1", "u1"), ("p3", "u2")]
    assert corpus.left_out == {"photo of an earlier review": 2, "no photo": 1}


def test_a_picture_that_cannot_be_used_costs_that_picture_alone(tmp_path: Path) -> None:
    odd = [pic("p2"), 1.5, {"url": []}, "../../etc/passwd", "", None, {"id": "p3", "url": [7]}, "x" * 300, "p4", "p2"]
    corpus = read(tmp_path, row(), row(user_id="u2", pics=odd), row(user_id="u3", pics=["bad id"]))
    assert corpus.reviews["photo_ids"].to_pylist() == [["p1"], ["p2", "p4"]]
    assert corpus.left_out == {"unusable photo": 8, "no photo": 1}
    assert [(r["line"], r["reason"], r["detail"]) for r in corpus.rejects.to_pylist()] == [
        (2, "unusable photo", "7 of 9, the first: pics[1].id is a number, not text"),
        (3, "unusable photo", "pics[0].id `bad id`: 1 to 250 letters, digits, - and _ are allowed"),
    ]


def test_users_and_businesses_with_underscores_are_no_second_copies(tmp_path: Path) -> None:
    rows = [row(user_id=u, business_id=b, pics=[f"p{n}"]) for n, (u, b) in enumerate([("a_b", "c"), ("a", "b_c")])]
    corpus = read(tmp_path, *rows)
    assert corpus.reviews["review_id"].to_pylist() == ["a%5Fb_c", "a_b_c"] and corpus.left_out == {}


def test_google_local_2021_is_read_as_it_is(tmp_path: Path) -> None:
    url = "https://lh5.googleusercontent.com/p/AF1QipN-_x=w150-h150-k-no-p"
    theirs = {"user_id": 1, "gmap_id": "0x80dd:0xfc3", "name": None, "time": 1, "rating": 5, "text": TEXT, "resp": None}
    rows = [theirs | {"pics": [{"url": [url, url.replace("x=", "y=")]}]}, theirs | {"pics": None, "user_id": 2}]
    corpus = read(tmp_path, *rows, theirs | {"user_id": 3, "pics": [{"url": [7]}, {"url": url.replace("x=", "z=")}]})
    assert corpus.reviews["review_id"].to_pylist() == ["1_0x80dd:0xfc3", "3_0x80dd:0xfc3"]
    assert corpus.photos["photo_id"].to_pylist() == ["AF1QipN-_x", "AF1QipN-_y", "AF1QipN-_z"]
    assert corpus.photos["url"].to_pylist()[0] == url
    assert corpus.left_out == {"no photo": 1, "unusable photo": 1}


def noisy_lines(seed: int) -> list[bytes]:
    """Rows of few users, businesses and photos, so that many repeat; broken ones and blank lines between."""
    draw = random.Random(seed)
    lines = []
    for _ in range(300):
        kind = draw.random()
        if kind < 0.05:
            lines.append(draw.choice([b"", b"  ", b"{", b"\xff", b'{"a": 1}', b"null"]))
            continue
        pics = [pic(f"p{draw.randrange(400)}") for _ in range(draw.choice([0, 1, 1, 2, 3, 12]))]
        text = " ".join(["Good soup."] * draw.randrange(8)) or draw.choice(["", None])
        fields = {"user_id": f"u{draw.randrange(60)}", "business_id": f"b{draw.randrange(6)}"}
        lines += as_lines(row(review_text=text, pics=pics, rating=draw.randrange(1, 6), **fields))
    return lines


def plain_loop(lines: list[bytes]) -> tuple[list[tuple[str, list[str]]], Counter[str]]:
    """The rules in a loop with sets of whole ids: (review id, photo ids) kept, and the rest counted by what it is."""
    seen, taken, kept, rest = set(), set(), [], Counter()
    for line in lines:
        if not line.strip():
            rest["blank"] += 1
            continue
        try:
            raw = json.loads(line)
            review_id, text = f"{raw['user_id']}_{raw['business_id']}", raw["review_text"] or ""
        except (ValueError, KeyError, TypeError):
            rest["rejected"] += 1
            continue
        names = list(dict.fromkeys(p["id"] for p in raw["pics"]))
        if review_id in seen:
            rest["rejected"] += 1
        elif len(text.split()) < 5 or len(names) > 10:
            rest["left out"] += 1
        else:
            seen.add(review_id)
            fresh = [name for name in names if name not in taken]
            taken.update(fresh)
            rest["left out"] += not fresh
            kept += [(review_id, fresh)] if fresh else []
    return kept, rest


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("block_kb", [8192, 4, 1])
def test_blocks_keep_what_a_plain_loop_keeps_and_nothing_vanishes(tmp_path: Path, seed: int, block_kb: int) -> None:
    lines = noisy_lines(seed)
    corpus = read(tmp_path, *lines, block_kb=block_kb)
    kept, rest = plain_loop(lines)
    rows = corpus.reviews.to_pylist()
    assert [(r["review_id"], r["photo_ids"]) for r in rows] == kept
    assert [p["photo_id"] for p in corpus.photos.to_pylist()] == [name for _, names in kept for name in names]
    assert corpus.rejects.num_rows == rest["rejected"]
    rejected = {str(reason) for reason in Reason}
    by_rule = {name: n for name, n in corpus.left_out.items() if name not in rejected}
    by_rule.pop("photo of an earlier review", None)
    assert sum(by_rule.values()) == rest["left out"]
    assert len(rows) + corpus.rejects.num_rows + sum(by_rule.values()) + rest["blank"] == len(lines)
    users = {review["user_id"] for review in rows}
    assert {r["user_id"]: r["split"] for r in rows} == split_users(users, seed=0)


def test_a_gzip_file_gives_the_same_tables_and_a_cut_off_one_is_named(tmp_path: Path) -> None:
    lines = noisy_lines(9)
    plain = read(tmp_path, *lines)
    packed = tmp_path / "image_review_all.json.gz"
    packed.write_bytes(gzip.compress(b"\n".join(lines)))
    corpus = read_raw(packed, IngestConfig(block_kb=2), seed=0)
    assert corpus.reviews.equals(plain.reviews) and corpus.photos.equals(plain.photos)
    assert corpus.rejects.drop_columns("file").equals(plain.rejects.drop_columns("file"))
    packed.write_bytes(gzip.compress(b"\n".join(lines))[:-300])
    with pytest.raises(CorpusError, match=r"damaged after .* bytes .*fetch the file again"):
        read_raw(packed, IngestConfig(), seed=0)


def test_the_generated_corpus_loses_what_was_planted_and_nothing_else(tmp_path: Path) -> None:
    world = build_world(MiniConfig(restaurants=8, users=40, reviews=160, photos=300, annotated_reviews=80))
    corpus = read(tmp_path, *official_rows(world))
    planted = Counter(review.fault for review in world.reviews)
    assert corpus.left_out == {
        "duplicate review": planted["duplicate_rows"],
        "empty text": planted["empty_texts"],
        "fewer than 5 words": planted["under_5_words"],
        "more than 10 photos": planted["over_10_photos"],
        "no photo": planted["no_photos"],
    }


def test_no_file_and_no_review_say_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such file"):
        read_raw(tmp_path / "absent.json", IngestConfig(), 0)
    with pytest.raises(CorpusError, match=r"this is GEST-s2 .*jobs\.import_s2"):
        read(tmp_path, {"train": [], "val": [], "test": []})
    with pytest.raises(CorpusError, match=r"fewer than 5 words 1\); expected .* business_id, user_id, rating, .* pics"):
        read(tmp_path, row(review_text="Too short"))


def test_users_are_split_8_1_1_and_stay_where_they_are() -> None:
    users = {f"u{i}" for i in range(1000)}
    split = split_users(users, seed=0)
    assert [sum(s == name for s in split.values()) for name in ("train", "val", "test")] == [800, 100, 100]
    assert split == split_users(set(sorted(users)), seed=0)
    assert split != split_users(users, seed=1)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 9, 10, 11, 37])
def test_few_users_are_split_as_near_to_8_1_1_as_whole_users_allow(count: int) -> None:
    split = split_users({f"u{i}" for i in range(count)}, seed=3)
    middles = [(rank + 0.5) / count for rank in range(count)]  # where each ranked user lies between 0 and 1
    expected = ["train" if m <= 0.8 + 1e-9 else "val" if m <= 0.9 + 1e-9 else "test" for m in middles]
    assert Counter(split.values()) == Counter(expected)


def test_the_real_file_is_read_and_every_line_accounted_for(shared_data: Path) -> None:
    path = shared_data / "google-local" / "image_review_all.json"
    corpus = read_raw(path, IngestConfig(), 0)
    lines = sum(1 for line in path.read_bytes().splitlines() if line.strip())
    reviews = {name: n for name, n in corpus.left_out.items() if name != "photo of an earlier review"}
    assert corpus.reviews.num_rows + sum(reviews.values()) == lines
    assert corpus.reviews.num_rows > 900
