"""The plan of embed, against a plain reading of the same tables: every id once, a grid that never moves."""

import random
from pathlib import Path

import pyarrow as pa
import pytest

from jobs.embedding.units import Plan, plan_photos, plan_sentences
from showcases.clip.units import Unit
from showcases.storage.artifacts import Workspace
from showcases.storage.schemas import IMAGES, REVIEWS

NONE = pa.array([], pa.string())


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Three shards of photos, some not ok, some duplicates of photos in any shard; two shards of reviews."""
    rng = random.Random(0)
    workspace = Workspace(str(tmp_path))
    rows = [{"photo_id": f"p{i}", "status": rng.choice(["ok", "ok", "ok", "expired"])} for i in range(100)]
    stored = [row["photo_id"] for row in rows if row["status"] == "ok"]
    rows += [{"photo_id": f"twin{i}", "status": "ok", "same_as": rng.choice(stored)} for i in range(12)]
    rows.append({"photo_id": "lost", "status": "ok", "same_as": "nobody"})
    rng.shuffle(rows)
    for number, start in enumerate(range(0, len(rows), 40)):
        table = pa.Table.from_pylist(rows[start : start + 40], schema=IMAGES)
        workspace.write_table(table, "images", f"part-{number}.parquet")
    said = [["One."] * rng.randint(0, 5) for _ in range(50)]
    reviews = [{"review_id": f"r{i}", "sentences": sentences or None} for i, sentences in enumerate(said)]
    for number, start in enumerate((0, 30)):
        table = pa.Table.from_pylist(reviews[start:][:30], schema=REVIEWS)
        workspace.write_table(table, "reviews", f"part-{number}.parquet")
    return workspace


def photo_ids(workspace: Workspace, unit: Unit) -> list[str]:
    table = pa.parquet.ParquetFile(unit.path).read_row_group(unit.row_group).take(pa.array(unit.rows))
    assert set(table["status"].to_pylist()) == {"ok"} and not any(table["same_as"].to_pylist())
    return [each for name in table["photo_id"].to_pylist() for each in unit.writes.get(name, [name])]


def sentence_ids(workspace: Workspace, unit: Unit) -> list[str]:
    table = pa.parquet.ParquetFile(unit.path).read_row_group(unit.row_group).take(pa.array(unit.rows))
    return [f"{row['review_id']}:{i}" for row in table.to_pylist() for i in range(len(row["sentences"]))]


def all_rows(workspace: Workspace, artifact: str) -> list[dict]:
    return pa.parquet.ParquetDataset(workspace.shards(artifact)).read().to_pylist()


def test_every_photo_that_is_ok_is_in_one_unit_or_an_orphan(workspace: Workspace) -> None:
    plan = plan_photos(workspace, NONE, 7)
    ids = [name for unit in plan.units for name in photo_ids(workspace, unit)]
    ok = sorted(row["photo_id"] for row in all_rows(workspace, "images") if row["status"] == "ok")
    assert sorted([*ids, "lost"]) == ok == sorted(plan.ids.to_pylist())
    assert plan.orphans == ["lost"] and plan.left == len(ids)
    assert max(len(unit.rows) for unit in plan.units) == 7
    owner = {row["photo_id"]: row["same_as"] for row in all_rows(workspace, "images") if row["same_as"]}
    for unit in plan.units:
        for name, shared in unit.writes.items():
            assert shared[0] == name and {owner[twin] for twin in shared[1:]} == {name}


def test_every_sentence_is_in_one_unit(workspace: Workspace) -> None:
    plan = plan_sentences(workspace, NONE, 10)
    ids = [name for unit in plan.units for name in sentence_ids(workspace, unit)]
    assert len(set(ids)) == len(ids) and sorted(ids) == sorted(plan.ids.to_pylist()) and plan.left == len(ids)
    expected = sum(len(row["sentences"] or ()) for row in all_rows(workspace, "reviews"))
    assert len(ids) == expected
    assert all(len(sentence_ids(workspace, unit)) < 10 + 5 for unit in plan.units)


@pytest.mark.parametrize("planned", [(plan_photos, photo_ids, 7), (plan_sentences, sentence_ids, 10)])
def test_what_is_done_stays_done_and_the_other_units_keep_their_names(workspace: Workspace, planned: tuple) -> None:
    make, ids_of, size = planned
    first: Plan = make(workspace, NONE, size)
    done = [first.units[number] for number in (0, 3, 4)]
    again: Plan = make(workspace, pa.array([i for unit in done for i in ids_of(workspace, unit)]), size)
    assert {u.name for u in again.units} == {u.name for u in first.units} - {u.name for u in done}
    everything: Plan = make(workspace, first.ids, size)
    assert everything.units == [] and everything.left == 0 and len(everything.ids) == len(first.ids)


def test_a_duplicate_alone_is_left(workspace: Workspace) -> None:
    """Its photo has a vector, it has none: the photo is encoded again, for the duplicate alone."""
    first = plan_photos(workspace, NONE, 7)
    shared = next(names for unit in first.units for names in unit.writes.values())
    plan = plan_photos(workspace, pa.array([i for i in first.ids.to_pylist() if i != shared[-1]]), 7)
    assert [photo_ids(workspace, unit) for unit in plan.units] == [[shared[-1]]] and plan.left == 1


def test_units_of_a_long_shard_read_its_row_groups_not_the_whole_of_it(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    rows = [{"photo_id": f"p{i:04}", "status": "ok"} for i in range(600)]
    workspace.write_table(pa.Table.from_pylist(rows, schema=IMAGES), "images")
    plan = plan_photos(workspace, NONE, 256)
    assert [(unit.row_group, len(unit.rows)) for unit in plan.units] == [(0, 256), (1, 256), (2, 88)]
    assert [i for unit in plan.units for i in photo_ids(workspace, unit)] == [row["photo_id"] for row in rows]


def test_a_workspace_without_photos_or_sentences_has_an_empty_plan(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    for plan in (plan_photos(workspace, NONE, 7), plan_sentences(workspace, NONE, 7)):
        assert (len(plan.ids), plan.units, plan.left) == (0, [], 0)
