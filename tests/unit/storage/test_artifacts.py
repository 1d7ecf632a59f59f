"""Artifacts: the same behaviour in a folder and on S3, over real HTTP."""

import dataclasses
import pickle
from pathlib import Path

import pyarrow as pa
import pytest

from showcases.errors import ArtifactError
from showcases.storage.artifacts import ARTIFACTS, FLOW, MANIFEST, Manifest, Workspace, variant_folder
from showcases.storage.schemas import GEST_FT, PHOTOS


@pytest.fixture(params=["folder", "s3"])
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Workspace:
    if request.param == "folder":
        return Workspace(str(tmp_path / "workspace"))
    server = request.getfixturevalue("s3_server")
    bucket = f"test-{abs(hash(request.node.name)) % 10**10}"
    return Workspace(server.root(bucket, "some/prefix"))


def manifest(artifact: str = "gest_ft", **changes: object) -> Manifest:
    made = Manifest(
        artifact=artifact,
        step=ARTIFACTS[artifact].step,
        config={"seed": 0, "sizes": [1, 2]},
        inputs={"reviews": "abc"},
        code_version="0.1.0",
        created="2026-01-01T00:00:00+00:00",
        seconds=1.5,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def texts(*names: str) -> pa.Table:
    return pa.table({"review_id": list(names), "text": [f"text of {name}" for name in names]})


def test_table_comes_back_with_all_shards(workspace: Workspace) -> None:
    workspace.write_table(texts("a", "b"), "gest_ft")
    workspace.write_table(texts("c"), "gest_ft", "part-00001.parquet")
    workspace.finish(manifest())
    table = workspace.read_table("gest_ft")
    assert table.schema.equals(GEST_FT)
    assert table["review_id"].to_pylist() == ["a", "b", "c"]
    assert workspace.read_table("gest_ft", ["text"]).column_names == ["text"]


def test_no_manifest_is_unfinished(workspace: Workspace) -> None:
    workspace.write_table(texts("a"), "gest_ft")
    assert workspace.manifest("gest_ft") is None
    with pytest.raises(ArtifactError, match=r"jobs\.build_gest"):
        workspace.read_table("gest_ft")


def test_manifest_comes_back(workspace: Workspace) -> None:
    made = manifest(rows={"rows": 3}, failures={"expired": 1}, metrics={"auc": 0.9, "nested": {"a": 1}})
    workspace.finish(made)
    assert workspace.manifest("gest_ft") == made
    assert workspace.require("gest_ft").digest == made.digest


def test_upload_and_download_keep_the_tree(workspace: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "inner").mkdir(parents=True)
    (source / "config.json").write_text("{}")
    (source / "inner" / "weights.bin").write_bytes(b"\x00\x01" * 1000)
    workspace.upload(source, "selector", "img_text-seed0")
    whole = workspace.download("selector", tmp_path / "whole")
    assert (whole / "img_text-seed0" / "inner" / "weights.bin").read_bytes() == b"\x00\x01" * 1000
    part = workspace.download("selector", tmp_path / "part", "img_text-seed0")
    assert sorted(path.name for path in part.iterdir()) == ["config.json", "inner"]
    assert workspace.read_bytes("selector", "img_text-seed0", "config.json") == b"{}"


def test_upload_again_replaces(workspace: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for content in ("old", "new"):
        (source / "metrics.json").write_text(content)
        workspace.upload(source, "selector", "a")
    assert workspace.read_bytes("selector", "a", "metrics.json") == b"new"


def test_bytes_and_shards_in_subfolders(workspace: Workspace) -> None:
    workspace.write_bytes(b"x", "images", "b", "2.parquet")
    workspace.write_bytes(b"x", "images", "a", "1.parquet")
    workspace.write_bytes(b"x", "images", "notes.txt")
    assert [path.rpartition("images/")[2] for path in workspace.shards("images")] == ["a/1.parquet", "b/2.parquet"]
    assert workspace.shards("photos") == []


def test_workspace_travels_to_a_worker(workspace: Workspace) -> None:
    workspace.write_bytes(b"here", "report", "a.txt")  # its filesystem is open by now
    there = pickle.loads(pickle.dumps(workspace))
    assert there == workspace
    assert there.read_bytes("report", "a.txt") == b"here"


def test_wrong_table_is_refused(workspace: Workspace) -> None:
    with pytest.raises(ArtifactError, match="review_id"):
        workspace.write_table(pa.table({"text": ["no id"]}), "gest_ft")
    with pytest.raises(ArtifactError, match="gest_s1"):
        numbers = pa.table({name: [1] for name in ("review_id", "user_id", "business_id", "split")})
        words = numbers.append_column("photo_ids", pa.array([1])).append_column("history_review_ids", pa.array([1]))
        workspace.write_table(words, "gest_s1")
    assert workspace.shards("gest_ft") == []


def test_missing_column_names_the_step(workspace: Workspace) -> None:
    workspace.write_table(texts("a"), "gest_ft")
    workspace.finish(manifest())
    with pytest.raises(ArtifactError, match=r"rating.*jobs\.build_gest"):
        workspace.read_table("gest_ft", ["rating"])


def test_empty_table_keeps_its_columns(workspace: Workspace) -> None:
    workspace.write_table(PHOTOS.empty_table(), "photos")
    workspace.finish(manifest("photos"))
    assert workspace.read_table("photos").schema.equals(PHOTOS)


@pytest.mark.parametrize("part", ["..", ".", "", "a/b", "/etc/passwd", "..\\..", "a/../../b"])
def test_paths_stay_inside(workspace: Workspace, part: str) -> None:
    with pytest.raises(ArtifactError, match="inside the workspace"):
        workspace.path("images", part)
    with pytest.raises(ArtifactError, match="inside the workspace"):
        workspace.path(part)
    with pytest.raises(ArtifactError, match="inside the workspace"):
        workspace.write_bytes(b"x", "images", part)


def test_made_from_asks_config_and_inputs() -> None:
    made = manifest()
    assert made.made_from({"seed": 0, "sizes": (1, 2)}, {"reviews": "abc"})  # tuples become lists in JSON
    assert not made.made_from({"seed": 1, "sizes": [1, 2]}, {"reviews": "abc"})
    assert not made.made_from({"seed": 0, "sizes": [1, 2]}, {"reviews": "abd"})
    assert not made.made_from({"seed": 0, "sizes": [1, 2]}, {"reviews": "abc", "photos": "x"})


def test_digest_changes_with_every_field() -> None:
    base = manifest()
    others = [
        manifest(seconds=1.6),
        manifest(created="2026-01-01T00:00:01+00:00"),
        manifest(inputs={"reviews": "x"}),
        manifest(rows={"rows": 1}),
        manifest(config={}),
    ]
    assert len({made.digest for made in [base, *others]}) == 1 + len(others)


def test_flow_has_each_name_once() -> None:
    assert len({artifact.name for artifact in FLOW}) == len(FLOW)


def test_variant_folder_is_one_path_part(tmp_path: Path) -> None:
    assert variant_folder("img+text", 2) == "img_text-seed2"
    Workspace(str(tmp_path)).path("selector", variant_folder("img+text", 2), MANIFEST)
