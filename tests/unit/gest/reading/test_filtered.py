"""The published GEST-s2: taken a row at a time, official splits, and everything odd counted."""

import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from showcases.errors import CorpusError
from showcases.gest.reading.filtered import FilteredRow, read_filtered
from showcases.gest.reading.official_s2 import S2Import
from showcases.gest.reading.rejects import Reason, Reject


def row(user: str, business: str, **changes: object) -> dict[str, object]:
    text = f"The ramen of {business} was rich. ありがとう"
    base = {
        "user_id": user,
        "business_id": business,
        "rating": 5,
        "review_text": text,
        "pics": [f"p-{user}-{business}"],
    }
    return {**base, "history_reviews": [[f"{user}_old", "An old review. Two sentences."]], **changes}


def write(folder: Path, document: object, **options: object) -> Path:
    path = folder / "filter_all_t.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document, **options), encoding="utf-8")  # type: ignore[arg-type]
    return path


def read(path: Path) -> tuple[list[FilteredRow], list[Reject]]:
    rejects: list[Reject] = []
    return list(read_filtered([str(path)], rejects.append)), rejects


def load(path: Path) -> tuple[S2Import, dict[str, pa.Table]]:
    source, parts = S2Import([str(path)]), {}
    for tables in source.tables():
        for name, table in tables.items():
            parts.setdefault(name, []).append(table)
    return source, {name: pa.concat_tables(tables) for name, tables in parts.items()}


DOCUMENT = {
    "train": [row(f"u{i}", f"b{i % 3}") for i in range(40)],
    "val": [row("v1", "b1"), row("v1", "b2", history_reviews=[["v1_b1", "said elsewhere"], ["v1_b2", "itself"]])],
    "test": [row("t1", "b9", review_text="", history_reviews=None), row("t2", "b9", pics=[])],
}


@pytest.mark.parametrize("options", [{}, {"indent": 2, "ensure_ascii": False}])
def test_rows_come_as_json_has_them(tmp_path: Path, options: dict[str, object]) -> None:
    path = write(tmp_path, DOCUMENT, **options)
    data = path.read_bytes()
    rows, rejects = read(path)
    assert not rejects
    expected = [(split, raw) for split, members in DOCUMENT.items() for raw in members]
    assert [(r.split, json.loads(r.raw)) for r in rows] == expected
    assert all(data[r.offset :].startswith(r.raw) for r in rows)
    assert [r.number for r in rows] == list(range(1, len(expected) + 1))
    assert [r.record.text for r in rows] == [raw["review_text"] for _, raw in expected]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row("x", "b", rating=9), Reason.BAD_RATING),
        (row("x", "b", history_reviews={"a": 1}), Reason.WRONG_TYPE),
        (row("x", "b", review_text="\ud83d"), Reason.INVALID_UTF8),
        ({"user_id": "x"}, Reason.MISSING_FIELD),
        (12345, Reason.NOT_AN_OBJECT),
    ],
)
def test_a_bad_row_costs_one_row(tmp_path: Path, bad: object, reason: Reason) -> None:
    path = write(tmp_path, {"train": [row("u1", "b1"), bad, row("u2", "b1")], "val": [], "test": []})
    rows, (reject,) = read(path)
    assert [r.record.user_id for r in rows] == ["u1", "u2"]
    assert (reject.line, reject.reason) == (2, reason)
    assert path.read_bytes()[reject.offset :].startswith(reject.raw) and json.loads(reject.raw) == bad


def test_a_bad_photo_or_past_review_costs_itself_alone(tmp_path: Path) -> None:
    history = [["u1_ok", "Fine."], ["u1_c"], ["u1_c", 5], ["nobody", "text"], 7, ["u1_\n", "x"], ["u1_d", "\ud83d"]]
    odd = row("u1", "b1", history_reviews=history, pics=["../x", "p1", None, {"url": "y"}])
    source, tables = load(write(tmp_path, {"train": [odd, row("u2", "b1")]}))
    (first, second) = tables["gest_s2"].to_pylist()
    assert (first["photo_ids"], first["history_review_ids"]) == (["p1"], ["u1_ok"])
    assert second["history_review_ids"] == ["u2_old"]
    figures = source.figures()
    assert (figures["unusable_photos"], figures["unusable_history"], figures["ambiguous_history"]) == (3, 6, 0)
    assert [(r.line, r.reason, r.detail) for r in source.rejects] == [
        (
            1,
            Reason.UNUSABLE_PHOTO,
            "3 of 4, the first: pics[0].id `../x`: 1 to 250 letters, digits, - and _ are allowed",
        ),
        (1, Reason.UNUSABLE_HISTORY, "history_reviews[1] is not a pair of review id and text (and 5 more)"),
    ]


def test_past_reviews_are_found_whoever_has_underscores_in_the_id(tmp_path: Path) -> None:
    document = {
        "train": [
            row("a_b", "c", history_reviews=[["a_b_d_e", "own"], ["a%5Fb_d_e", "own, escaped"]]),
            row("a_b", "d_e", history_reviews=[["x_y", "of another"], ["100%_off_z", "of nobody known"]]),
            row("a", "f", history_reviews=[["a_b_c", "own at b_c, or a_b's at c?"], ["a_b_d", "own at b_d"]]),
        ]
    }
    source, tables = load(write(tmp_path, document))
    s2 = {r["review_id"]: r["history_review_ids"] for r in tables["gest_s2"].to_pylist()}
    assert s2 == {
        "a%5Fb_c": ["a%5Fb_d_e"],
        "a%5Fb_d_e": ["x_y", "100%25_off_z"],
        "a_f": ["a_b_c", "a_b_d"],
    }
    owners = {r["review_id"]: (r["user_id"], r["business_id"]) for r in tables["reviews"].to_pylist()}
    assert owners["a%5Fb_d_e"] == ("a_b", "d_e") and owners["a_b_c"] == ("a", "b_c")
    assert owners["100%25_off_z"] == ("100%", "off_z")
    ambiguous = [r for r in source.rejects if r.reason == Reason.AMBIGUOUS_HISTORY]
    assert [(r.line, r.detail.split()[0]) for r in ambiguous] == [(2, "100%_off_z"), (3, "a_b_c")]
    assert source.figures()["ambiguous_history"] == 2


def test_bytes_that_are_no_utf8_cost_one_row(tmp_path: Path) -> None:
    path = write(tmp_path, {"train": [row("u1", "b1"), row("u2", "b1", review_text="BAD bytes"), row("u3", "b1")]})
    path.write_bytes(path.read_bytes().replace(b"BAD", b"\xff\xfe!"))
    rows, (reject,) = read(path)
    assert [r.record.user_id for r in rows] == ["u1", "u3"]
    assert reject.reason == Reason.INVALID_UTF8 and b"\xff\xfe! bytes" in reject.raw


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(DOCUMENT)[:-200],
        json.dumps(DOCUMENT).replace('"rating": ', '"rating" ', 1),
        json.dumps(DOCUMENT) + "[]",
        json.dumps(DOCUMENT["train"]),
        json.dumps(row("u1", "b1")),
        "",
    ],
)
def test_a_broken_document_is_named_with_its_place(tmp_path: Path, text: str) -> None:
    with pytest.raises(CorpusError, match=r"byte [\d,]+: .*one JSON object"):
        read(write(tmp_path, text))
    with pytest.raises(CorpusError, match="no such file"):
        read(tmp_path / "absent")


def test_official_splits_become_gest_s2_with_the_reviews_and_photos_it_speaks_of(tmp_path: Path) -> None:
    source, tables = load(write(tmp_path, DOCUMENT))
    s2 = tables["gest_s2"].to_pylist()
    assert Counter(r["split"] for r in s2) == {name: len(rows) for name, rows in DOCUMENT.items()} == source.rows
    by_id = {r["review_id"]: r for r in tables["reviews"].to_pylist()}
    assert len(by_id) == tables["reviews"].num_rows
    for r in s2:
        assert r["explanation"] == by_id[r["review_id"]]["text"] and r["review_id"] not in r["history_review_ids"]
        for name in r["history_review_ids"]:
            assert by_id[name]["user_id"] == r["user_id"] and by_id[name]["split"] == r["split"]
    assert by_id["u0_old"]["sentences"] == ["An old review.", "Two sentences."]
    assert by_id["v1_b1"]["text"].startswith("The ramen")  # its own row's, not what is told elsewhere
    shown = {name for r in s2 for name in r["photo_ids"]}
    assert set(tables["photos"]["photo_id"].to_pylist()) == shown and tables["photos"].num_rows == len(shown)
    figures = source.figures()
    assert (figures["empty_explanations"], figures["rows_without_photos"]) == (1, 1)
    assert (figures["own_review_in_history"], figures["users_in_two_splits"]) == (1, 0)


def test_second_copies_and_shared_photos_and_users_in_two_splits_are_told(tmp_path: Path) -> None:
    document = {
        "train": [row("u1", "b1"), row("u1", "b1"), row("u2", "b1", pics=["p-u1-b1", "q"])],
        "test": [row("u1", "b2", history_reviews=[["other_b1", "by somebody else"]])],
    }
    source, tables = load(write(tmp_path, document))
    assert tables["gest_s2"]["review_id"].to_pylist() == ["u1_b1", "u2_b1", "u1_b2"]
    assert tables["gest_s2"]["photo_ids"].to_pylist() == [["p-u1-b1"], ["p-u1-b1", "q"], ["p-u1-b2"]]  # as published
    assert tables["photos"]["photo_id"].to_pylist() == ["p-u1-b1", "q", "p-u1-b2"]
    assert [(r.line, r.reason) for r in source.rejects] == [(2, Reason.DUPLICATE_REVIEW)]
    figures = source.figures()
    assert figures["photos_of_an_earlier_row"] == 1
    assert (figures["users_in_two_splits"], figures["history_of_another_user"]) == (1, 1)
