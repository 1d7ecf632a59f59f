"""fetch_images from files: the same photos from a folder, a tar and shards; what is done again, and what is not."""

import hashlib
import io
import json
import tarfile
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import fetch_images, ingest
from jobs.runner.config import CorpusConfig, PipelineConfig, parse
from jobs.runner.execute import execute
from showcases.errors import ConfigError, ShowcasesError
from showcases.gest.config import FetchConfig
from showcases.gest.photos.images import read_photos
from showcases.photos import PhotoError, take_in
from showcases.storage.artifacts import Workspace
from showcases.storage.schemas import IMAGES
from tests.photo_server import photo
from tests.unfinished import unfinish

pytestmark = pytest.mark.ray


@pytest.fixture
def config(tiny_corpus: Path, tmp_path: Path) -> PipelineConfig:
    corpus = CorpusConfig(str(tiny_corpus / "image_review_all.json"), str(tiny_corpus / "photos"))
    return PipelineConfig(root=str(tmp_path / "workspace"), corpus=corpus, fetch_images=FetchConfig(unit=40))


@pytest.fixture
def workspace(config: PipelineConfig, ray_cluster: str) -> Workspace:
    workspace = Workspace(config.root)
    execute(ingest.STEP, workspace, config)
    return workspace


def files_of(workspace: Workspace, folder: Path) -> dict[str, bytes | None]:
    """Bytes of each photo's file, None where there is none."""
    names = workspace.read_table("photos")["photo_id"].to_pylist()
    paths = {name: folder / f"{name}.jpg" for name in names}
    return {name: path.read_bytes() if path.exists() else None for name, path in paths.items()}


def status(data: bytes | None) -> str:
    try:
        return "not_found" if data is None else "ok" if take_in(data, 256) else ""
    except PhotoError:
        return "corrupt"


def test_a_folder_gives_what_its_files_hold_and_each_content_once(
    workspace: Workspace, config: PipelineConfig, tiny_corpus: Path
) -> None:
    files = files_of(workspace, tiny_corpus / "photos")
    assert execute(fetch_images.STEP, workspace, config)
    rows = {row["photo_id"]: row for row in workspace.read_table("images").to_pylist()}
    assert {name: row["status"] for name, row in rows.items()} == {name: status(d) for name, d in files.items()}
    contents = defaultdict(set)
    for name, row in rows.items():
        if row["status"] == "ok":
            assert row["content_hash"] == hashlib.sha256(files[name]).hexdigest()
            contents[files[name]].add(name)
    for same in contents.values():
        assert sum(rows[name]["bytes"] is not None for name in same) == 1
        assert {rows[name]["same_as"] for name in same} <= same | {None}
    good = {name: data for name, data in files.items() if status(data) == "ok"}
    assert read_photos(workspace, good) == good  # small JPEGs are kept as they are
    manifest = workspace.require("images")
    assert manifest.rows == {"ok": len(good), "duplicates": len(good) - len(contents)}
    assert len(contents) < len(good)  # some were planted
    assert manifest.failures == {k: n for k, n in Counter(map(status, files.values())).items() if k != "ok"}


def test_a_tar_and_shards_of_img2dataset_give_the_same(
    workspace: Workspace, config: PipelineConfig, tiny_corpus: Path, tmp_path: Path
) -> None:
    files = {name: data for name, data in files_of(workspace, tiny_corpus / "photos").items() if data is not None}
    urls = {row["photo_id"]: row["url"] for row in workspace.read_table("photos").to_pylist()}
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        for name, data in files.items():
            add(archive, f"photos/{name}.jpg", data)
    shards = tmp_path / "shards"
    shards.mkdir()
    for number in range(3):
        with tarfile.open(shards / f"{number:05d}.tar", "w") as archive:
            for i, (name, data) in enumerate(list(files.items())[number::3]):
                key = f"{number:05d}{i:04d}"
                add(archive, f"{key}.jpg", data)
                add(archive, f"{key}.json", json.dumps({"url": urls[name], "key": key, "caption": "x"}).encode())
    found = []
    for photos in (config.corpus.photos, str(tmp_path / "all.tar"), str(shards)):
        assert execute(fetch_images.STEP, workspace, replace(config, corpus=replace(config.corpus, photos=photos)))
        columns = ["photo_id", "status", "content_hash", "width"]
        found.append(sorted(workspace.read_table("images", columns).to_pylist(), key=lambda row: row["photo_id"]))
    assert found[0] == found[1] == found[2]


def test_the_command_line_says_where_photos_come_from_and_what_is_fetched_again() -> None:
    config = parse(["--photos", "urls", "--retry", "failed,expired", "--fetch_images.http.tasks", "8"], "test")
    assert config.corpus.photos == "urls" and config.fetch_images.retry == "failed,expired"
    assert config.fetch_images.http.tasks == 8 and config.fetch_images.http.hosts == (
        "googleusercontent.com",
        "ggpht.com",
    )
    assert fetch_images.statuses_to_retry("failed, expired") == ["failed", "expired"]
    with pytest.raises(ConfigError, match="gone can't be refetched; use any of expired, not_found, corrupt"):
        fetch_images.statuses_to_retry("gone")


def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def test_only_rows_that_no_shard_holds_are_fetched(
    workspace: Workspace, config: PipelineConfig, tiny_corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(fetch_images.STEP, workspace, config)
    expected = sorted(workspace.read_table("images", ["photo_id", "status"]).to_pylist(), key=str)
    shards = workspace.shards("images")
    workspace.filesystem.delete_file(shards[0])
    written = {path: Path(path).stat().st_mtime_ns for path in shards[1:]}
    unfinish(workspace, "images")
    assert execute(fetch_images.STEP, workspace, config)
    assert "photos already done, resuming" in capsys.readouterr().out
    assert {path: Path(path).stat().st_mtime_ns for path in shards[1:]} == written
    assert sorted(workspace.read_table("images", ["photo_id", "status"]).to_pylist(), key=str) == expected
    assert workspace.require("images").metrics["rows"] <= 40

    smaller = replace(config, fetch_images=replace(config.fetch_images, max_side=32))
    assert execute(fetch_images.STEP, workspace, smaller)  # another size is other work: nothing is kept
    widths = workspace.read_table("images", ["width"])["width"].drop_null().to_pylist()
    assert max(widths) <= 64 and workspace.require("images").metrics["rows"] == len(expected)


def test_a_duplicate_whose_bytes_are_gone_is_fetched_again(workspace: Workspace, config: PipelineConfig) -> None:
    execute(fetch_images.STEP, workspace, config)
    good = workspace.require("images").rows
    copy = next(row for row in workspace.read_table("images").to_pylist() if row["same_as"])
    for path in workspace.shards("images"):  # its holder turns out to have expired
        name = path.rpartition("/")[2]
        rows = pq.read_table(path).to_pylist()
        for row in rows:
            if row["photo_id"] == copy["same_as"]:
                row |= {"status": "expired", "bytes": None, "content_hash": None}
        workspace.write_table(pa.Table.from_pylist(rows, schema=IMAGES), "images", name)
    unfinish(workspace, "images")
    assert execute(fetch_images.STEP, workspace, config)
    rows = {row["photo_id"]: row for row in workspace.read_table("images").to_pylist()}
    assert rows[copy["photo_id"]]["bytes"] is not None and rows[copy["same_as"]]["status"] == "expired"
    assert workspace.require("images").rows["ok"] == good["ok"] - 1


def test_too_many_failures_stop_the_step_but_keep_what_was_fetched(
    workspace: Workspace, config: PipelineConfig, tmp_path: Path
) -> None:
    folder = tmp_path / "half"
    folder.mkdir()
    names = workspace.read_table("photos")["photo_id"].to_pylist()
    for i, name in enumerate(names):
        source = Path(config.corpus.photos or "") / f"{name}.jpg"
        (folder / f"{name}.jpg").write_bytes(source.read_bytes() if i % 2 and source.exists() else b"broken")
    half = replace(config, corpus=replace(config.corpus, photos=str(folder)))
    with pytest.raises(ShowcasesError, match="% of .* photos failed.*--retry failed"):
        execute(fetch_images.STEP, workspace, half)
    assert workspace.manifest("images") is None
    lenient = replace(half, fetch_images=replace(half.fetch_images, max_failed=0.8))
    assert execute(fetch_images.STEP, workspace, lenient)
    assert workspace.require("images").metrics["rows"] == 0  # nothing was fetched again
    for i, name in enumerate(names):
        if i % 2 == 0:
            (folder / f"{name}.jpg").write_bytes(photo(name))
    mended = replace(half, fetch_images=replace(half.fetch_images, retry="corrupt, failed"))
    assert execute(fetch_images.STEP, workspace, mended)
    assert workspace.require("images").metrics["rows"] >= len(names) // 2
    with pytest.raises(ConfigError, match="--retry ok: ok can't be refetched"):
        execute(fetch_images.STEP, workspace, replace(half, fetch_images=replace(half.fetch_images, retry="ok")))
