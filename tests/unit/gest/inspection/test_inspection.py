"""Data checks on a workspace made by hand: clean, then with each fault planted, one at a time."""

import inspect as standard
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jobs import inspect_data as job
from showcases.errors import ArtifactError
from showcases.gest.inspection.histograms import binned
from showcases.gest.inspection.inspection import Inspection
from showcases.gest.inspection.look import inspect_workspace
from showcases.storage.artifacts import ARTIFACTS, Workspace
from tests import artifacts

Rows = dict[str, list[dict[str, Any]]]  # by artifact
TEXTS = {
    "u1_b1": "The ramen was rich and the noodles were firm, as they should be.",
    "u1_b2": "We sat on the roof and looked at the river with a glass of wine.",
    "u2_b1": "A quiet place for lunch, but our soup came cold and the bill was high.",
    "u2_b3": "My children ate all of their pancakes, which never happens at home.",
    "u3_b2": "Order the duck with plums and leave some room for the cheese cake.",
    "u3_b3": "Parking is easy here; every table has flowers and the owner says hello.",
}
SPLITS = {"u1": "train", "u2": "val", "u3": "test"}


def clean() -> Rows:
    """Three users, one a split, of two reviews each, with a photo a review; explanations are the texts' first half."""
    rows: Rows = {"reviews": [], "photos": [], "images": [], "rejects": [], "gest_s1": [], "gest_s2": []}
    for number, (name, text) in enumerate(TEXTS.items()):
        user, business = name.split("_")
        ids = {"review_id": name, "user_id": user, "business_id": business}
        known = {**ids, "photo_ids": [f"p{number}"], "split": SPLITS[user]}
        past = [other for other in TEXTS if other.startswith(user) and other != name]
        rows["reviews"].append({**known, "rating": 4.0, "text": text, "sentences": [text]})
        rows["photos"].append({**ids, "photo_id": f"p{number}", "url": None})
        rows["images"].append(image(f"p{number}", f"hash{number}"))
        rows["gest_s1"].append({**known, "history_review_ids": past})
        said = " ".join(text.split()[:7])
        rows["gest_s2"].append({**known, "explanation": said, "history_review_ids": past})
    return rows


def image(photo_id: str, content: str | None, same_as: str | None = None) -> dict[str, Any]:
    status = "ok" if content else "expired"
    known = {"photo_id": photo_id, "bytes": None, "width": 1, "height": 1, "status": status, "error": None}
    return {**known, "content_hash": content, "same_as": same_as}


def finish(workspace: Workspace, name: str, table: pa.Table, step: str | None = None) -> None:
    artifacts.put(workspace, name, table, step=step or ARTIFACTS[name].step)


def write(folder: Path, rows: Rows, step: str | None = None) -> Workspace:
    workspace = Workspace(str(folder))
    for name, found in rows.items():
        finish(workspace, name, pa.Table.from_pylist(found, schema=ARTIFACTS[name].schema), step)
    return workspace


def errors(found: Inspection) -> list[tuple[str, str, int]]:
    return [(leak.where, leak.what.partition(",")[0], leak.count) for leak in found.errors]


def things(found: Inspection) -> dict[tuple[str, str], tuple[int, int]]:
    return {(one.where, one.what): (one.things, one.rows) for one in found.duplicates if one.things}


def test_a_clean_workspace_has_neither_leaks_nor_duplicates(tmp_path: Path) -> None:
    found = inspect_workspace(write(tmp_path, clean()))
    assert errors(found) == [] and found.verdict == "no leak between splits"
    assert len(found.leaks) == 13 and not any(leak.count for leak in found.leaks)
    assert things(found) == {}


def test_table_1_and_histograms_are_what_a_count_by_hand_gives(tmp_path: Path) -> None:
    rows = clean()
    rows["gest_s1"] = rows["gest_s1"][:4]
    rows["gest_s2"] = rows["gest_s2"][1:4]
    rows["reviews"][0]["photo_ids"] = ["p0", "p9"]
    rows["images"] += [image("p9", None)]
    line = {"file": "f", "line": 1, "offset": 0, "detail": "", "raw": b""}
    rows["rejects"] = [{**line, "reason": reason} for reason in ("not JSON", "missing field", "not JSON")]
    found = inspect_workspace(write(tmp_path, rows))
    lengths = [13, 15, 15, 12, 13, 13]  # words of TEXTS
    assert found.table_1 == {
        "raw": {"images": 7, "reviews": 6, "users": 3, "businesses": 3, "average_words": sum(lengths) / 6},
        "s1": {"images": 4, "reviews": 4, "users": 2, "businesses": 3, "average_words": sum(lengths[:4]) / 4},
        "s2": {"images": 3, "reviews": 3, "users": 2, "businesses": 3, "average_words": 7},
    }
    bars = {histogram.name: dict(histogram.bars) for histogram in found.histograms}
    assert bars == {
        "words": {"10–19": 6},
        "languages": {"en": 6},
        "ratings": {"4.0": 6},
        "photos_per_review": {"1": 5, "2": 1},
        "photos_per_business": {"2–4": 3},
        "reviews_per_user": {"2": 3},
        "images_status": {"ok": 6, "expired": 1},
        "rejects_reason": {"not JSON": 2, "missing field": 1},
    }


def test_bins_are_closed_below_and_the_last_is_open() -> None:
    values = np.array([0, 9, 10, 19, 20, 25, 1000])
    assert binned(values, (0, 10, 20)) == (("0–9", 2), ("10–19", 2), ("20 or more", 3))
    assert binned(np.array([1, 2, 2]), (0, 1, 2, 3)) == (("1", 1), ("2", 2))
    assert binned(np.array([], np.int64), (0, 1)) == ()


def user_in_two(rows: Rows) -> None:
    for name in ("reviews", "gest_s1", "gest_s2"):
        rows[name][1]["split"] = "test"


def user_across_the_sets(rows: Rows) -> None:
    for row in rows["gest_s2"][:2]:
        row["split"] = "test"


def foreign_history(rows: Rows) -> None:
    rows["gest_s1"][4]["history_review_ids"] = ["u1_b1"]


def photo_in_two(rows: Rows) -> None:
    rows["gest_s2"][5]["photo_ids"] = ["p5", "p0"]


def copied_photo(rows: Rows) -> None:
    rows["images"][4] = image("p4", "hash2", same_as="p2")


def copy_without_hash(rows: Rows) -> None:
    rows["images"][4] = image("p4", None, same_as="p2")


def near_review(rows: Rows) -> None:
    rows["reviews"][4]["text"] = TEXTS["u1_b2"] + " Yes!"


def same_explanation(rows: Rows) -> None:
    rows["gest_s2"][2]["explanation"] = "Nice bar, with shelves of BOTTLES!"
    rows["gest_s2"][4]["explanation"] = "nice bar with shelves of bottles"


PLANTED: dict[str, tuple[Callable[[Rows], None], list[tuple[str, str, int]]]] = {
    "user in two splits": (
        user_in_two,
        [
            *(("gest_s1", "user", 1), ("gest_s1", "review", 2)),
            *(("gest_s2", "user", 1), ("gest_s2", "review", 2), ("gest_s1 + gest_s2", "user", 1)),
        ],
    ),
    "user in another split of the other set": (user_across_the_sets, [("gest_s1 + gest_s2", "user", 1)]),
    "past review of another split": (foreign_history, [("gest_s1", "review", 1)]),
    "photo id": (photo_in_two, [("gest_s2", "photo id", 1)]),
    "copy of a photo": (
        copied_photo,
        [("gest_s1", "photo content under another id", 1), ("gest_s2", "photo content under another id", 1)],
    ),
    "copy of a photo without its own hash": (
        copy_without_hash,
        [("gest_s1", "photo content under another id", 1), ("gest_s2", "photo content under another id", 1)],
    ),
    "nearly the same review": (near_review, [("gest_s1", "text", 2)]),
    "the same explanation": (same_explanation, [("gest_s2", "text", 1)]),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_each_planted_leak_is_found_and_nothing_else(fault: str, tmp_path: Path) -> None:
    plant, expected = PLANTED[fault]
    rows = clean()
    plant(rows)
    found = inspect_workspace(write(tmp_path, rows))
    assert errors(found) == expected
    assert all(leak.examples for leak in found.errors)


def test_the_same_within_a_split_is_no_leak_but_a_duplicate(tmp_path: Path) -> None:
    rows = clean()
    rows["reviews"][1]["text"] = TEXTS["u1_b1"].upper()
    rows["gest_s2"][1]["explanation"] = rows["gest_s2"][0]["explanation"]
    rows["images"][1] = image("p1", "hash0", same_as="p0")
    rows["reviews"][0]["photo_ids"] = ["p0", "p1"]
    found = inspect_workspace(write(tmp_path, rows))
    assert errors(found) == []
    assert things(found) == {
        ("reviews", "the same text of 5 words or more, by one user"): (1, 2),
        ("reviews", "photo ids named more than once"): (1, 2),
        ("images", "byte-identical photos"): (1, 2),
    }


def test_short_texts_are_told_apart_and_are_no_error(tmp_path: Path) -> None:
    rows = clean()
    for number, text in ((0, "Great food!"), (2, "great food"), (4, "")):
        rows["reviews"][number]["text"] = text
        rows["gest_s2"][number]["explanation"] = text
    found = inspect_workspace(write(tmp_path, rows))
    assert errors(found) == []
    short = {leak.where: (leak.count, leak.rows) for leak in found.leaks if not leak.error}
    assert short == {name: (1, {"train": 1, "val": 1, "test": 0}) for name in ("gest_s1", "gest_s2")}
    assert things(found) == {
        ("reviews", "the same text of 1 to 4 words"): (1, 2),
        ("reviews", "texts without a word"): (1, 1),
    }


def test_before_the_datasets_are_made_all_reviews_are_compared(tmp_path: Path) -> None:
    rows = {name: found for name, found in clean().items() if name in ("reviews", "photos")}
    rows["reviews"][4]["photo_ids"] = ["p0"]
    near_review(rows)
    workspace = write(tmp_path, rows)
    workspace.write_table(pa.Table.from_pylist([image("p0", "h")], schema=ARTIFACTS["images"].schema), "images")
    found = inspect_workspace(workspace)
    assert errors(found) == [("reviews", "photo id", 1), ("reviews", "text", 2)]
    states = {state.artifact: (state.state, state.rows) for state in found.states}
    assert states["reviews"] == ("finished", 6)
    assert states["images"] == ("unfinished", None)
    assert states["gest_s1"] == ("missing", None)
    assert list(found.table_1) == ["raw"] and found.figure_3 == {}


def test_an_imported_s2_has_no_raw_corpus(tmp_path: Path) -> None:
    rows = {name: found for name, found in clean().items() if name in ("reviews", "photos", "rejects", "gest_s2")}
    same_explanation(rows)
    found = inspect_workspace(write(tmp_path, rows, step="import_s2"))
    assert list(found.table_1) == ["s2"]
    assert errors(found) == [("gest_s2", "text", 1)]


def test_figure_3_is_taken_from_the_manifest_or_computed(tmp_path: Path) -> None:
    workspace = write(tmp_path, clean())
    table = artifacts.embedding_table(
        [f"p{number}" for number in range(6)], np.eye(6), "m"
    )  # every pair has a distance of 1
    finish(workspace, "image_embeddings", table)
    computed = inspect_workspace(workspace).figure_3
    assert {name: figures["intra_business"] for name, figures in computed.items()} == {"raw": 1, "s1": 1, "s2": 1}
    figures = {"intra_business": 0.1, "inter_user": 0.2, "intra_user": 0.3}
    metrics = {name: {**figures, "images": 5} for name in ("raw", "s1", "s2")}
    artifacts.finish(workspace, "gest_s1", step="build_gest", metrics=metrics)
    assert inspect_workspace(workspace).figure_3 == dict.fromkeys(metrics, figures)


def test_an_empty_workspace_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"jobs\.ingest or jobs\.import_s2"):
        inspect_workspace(Workspace(str(tmp_path)))


def test_texts_are_escaped_and_the_page_asks_the_network_for_nothing(tmp_path: Path) -> None:
    rows = clean()
    bad = "<script>alert(1)</script> & this is a text of many words"
    rows["gest_s2"][0]["explanation"] = rows["gest_s2"][4]["explanation"] = bad
    page = inspect_workspace(write(tmp_path, rows)).to_html()
    assert "<script" not in page and "&lt;script&gt;alert(1)" in page
    assert not any(part in page for part in ("http://", "https://", "src=", "@import", "url("))


def test_the_job_writes_three_forms_and_fails_on_a_leak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = clean()
    workspace = write(tmp_path / "clean", rows)
    job.main(["--root", workspace.root])
    said = capsys.readouterr().out
    assert workspace.read_bytes("_inspect", "inspection.md").decode() in said
    assert json.loads(workspace.read_bytes("_inspect", "inspection.json"))["errors"] == 0
    assert b"No leak between splits" in workspace.read_bytes("_inspect", "inspection.html")

    photo_in_two(rows)
    leaking = write(tmp_path / "leaking", rows)
    out, page = tmp_path / "out", tmp_path / "pages" / "page.html"
    with pytest.raises(SystemExit) as stopped:
        job.main(["--root", leaking.root, "--out", str(out), "--html", str(page)])
    assert stopped.value.code == 1
    assert "gest_s2: 1 × photo id" in capsys.readouterr().err
    assert sorted(file.name for file in out.iterdir()) == ["inspection.html", "inspection.json", "inspection.md"]
    assert page.read_bytes() == (out / "inspection.html").read_bytes()
    assert not (tmp_path / "leaking" / "_inspect").exists()


def test_the_job_does_not_shadow_the_standard_library() -> None:
    assert Path(standard.__file__ or "").parent != Path(job.__file__).parent
    assert list(standard.signature(job.main).parameters) == ["argv"]


def test_the_job_says_where_there_is_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        job.main(["--root", str(tmp_path)])
    assert stopped.value.code == 1
    assert "none of reviews" in capsys.readouterr().err
