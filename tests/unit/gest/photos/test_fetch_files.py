"""Photos from folders and tars, and exact duplicates: what is found, matched, refused; who holds the bytes."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from showcases.errors import ConfigError, CorpusError
from showcases.gest.config import FetchConfig
from showcases.gest.photos.fetch import Unit, fetch_unit
from showcases.gest.photos.images import Holders, drop_rows, orphans, read_columns, read_photos
from showcases.gest.photos.sources import Files, Source, Urls, open_source
from showcases.storage.artifacts import Workspace
from showcases.storage.schemas import IMAGES
from tests.artifacts import finish
from tests.copies import copies_of
from tests.photo_server import bomb, photo


def png(name: str) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(photo(name))).save(buffer, "PNG")
    return buffer.getvalue()


def photos(names: list[str], urls: list[str | None] | None = None) -> pa.Table:
    return pa.table({"photo_id": names, "url": pa.array(urls or [None] * len(names), pa.string())})


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def fetch(source: Source, wanted: pa.Table, max_side: int = 256) -> Unit:
    assert isinstance(source, Files)
    return fetch_unit(source, source.located(wanted)[0], max_side, max_pixels=30_000_000)


def test_a_folder_gives_every_photo_a_row(tmp_path: Path) -> None:
    files = {
        "good": photo("good"), "big": photo("big", (900, 600)), "cut": photo("cut", (300, 300))[:2000],
        "page": b"<!doctype html>", "bomb": bomb(), "heavy": bytes(200_000), "drawn": png("drawn"),
    }  # fmt: skip
    for name, data in files.items():
        (tmp_path / f"{name}.jpg").write_bytes(data)
    source = open_source(str(tmp_path), FetchConfig(max_bytes=150_000 + len(files["big"])))
    assert isinstance(source, Files)
    source.max_bytes = max(len(files[name]) for name in files if name != "heavy")
    (tmp_path / "heavy.jpg").write_bytes(bytes(source.max_bytes + 1))
    unit = fetch(source, photos([*files, "gone", "../good", "a/b"]))
    rows = {row["photo_id"]: row for row in unit.rows}
    assert {name: row["status"] for name, row in rows.items()} == {
        "good": "ok", "big": "ok", "drawn": "ok", "cut": "corrupt", "page": "corrupt", "bomb": "too_large",
        "heavy": "too_large", "gone": "not_found", "../good": "not_found", "a/b": "not_found",
    }  # fmt: skip
    assert rows["good"]["bytes"] == files["good"]
    assert min(rows["big"]["width"], rows["big"]["height"]) == 256
    for name in ("good", "big", "drawn"):
        assert rows[name]["content_hash"] == hashlib.sha256(files[name]).hexdigest()
    assert all((row["error"] is None) == (row["status"] == "ok") for row in rows.values())


def test_a_tar_is_matched_by_file_name_at_any_depth(tmp_path: Path) -> None:
    path = tar(
        tmp_path / "all.tar",
        {
            "p1.jpg": photo("p1"),
            "deep/er/p2.JPG": photo("p2"),
            "./p3.jpeg": photo("p3"),
            "p4.txt": b"no photo",
            "x/p5.jpg": b"broken",
        },
    )
    source = open_source(str(path), FetchConfig())
    unit = fetch(source, photos(["p1", "p2", "p3", "p4", "p5"]))
    found = {row["photo_id"]: (row["status"], row["bytes"]) for row in unit.rows}
    assert found == {
        "p1": ("ok", photo("p1")),
        "p2": ("ok", photo("p2")),
        "p3": ("ok", photo("p3")),
        "p4": ("not_found", None),
        "p5": ("corrupt", None),
    }


def img2dataset_sample(key: str, url: str, data: bytes, **more: str) -> dict[str, bytes]:
    """As img2dataset writes them with output_format=webdataset."""
    says = {
        "caption": "a dish", "url": url, "key": key, "status": "success", "error_message": None, "width": 64,
        "height": 48, "original_width": 64, "original_height": 48, "exif": "{}",
        "sha256": hashlib.sha256(data).hexdigest(), **more,
    }  # fmt: skip
    return {f"{key}.jpg": data, f"{key}.txt": b"a dish", f"{key}.json": json.dumps(says).encode()}


def test_shards_are_matched_by_what_their_json_says(tmp_path: Path) -> None:
    first = img2dataset_sample("000000000", "https://lh5.test/u0", photo("u0"))
    first |= img2dataset_sample("000000001", "https://lh5.test/u1", photo("u1"), photo_id="named")
    second = img2dataset_sample("000010000", "https://lh5.test/u2", photo("u2"))
    second |= {"byname.jpg": photo("byname"), "byname.json": b"{broken"}
    tar(tmp_path / "00000.tar", first)
    tar(tmp_path / "00001.tar", second)
    (tmp_path / "00000.parquet").write_bytes(b"img2dataset puts one beside each tar")
    source = open_source(str(tmp_path), FetchConfig())
    wanted = {"a": "https://lh5.test/u2", "named": "https://lh5.test/other", "b": "https://lh5.test/u0",
              "byname": None, "absent": "https://lh5.test/u9"}  # fmt: skip
    unit = fetch(source, photos(list(wanted), list(wanted.values())))
    found = {row["photo_id"]: row["bytes"] for row in unit.rows}
    assert found == {
        "a": photo("u2"),
        "named": photo("u1"),
        "b": photo("u0"),
        "byname": photo("byname"),
        "absent": None,
    }


def test_what_lies_before_a_break_in_a_tar_is_used(tmp_path: Path) -> None:
    path = tar(tmp_path / "all.tar", {f"p{i}.jpg": photo(f"p{i}") for i in range(6)})
    with tarfile.open(path) as archive:
        inside_p4 = archive.getmember("p4.jpg").offset_data + 1000
    path.write_bytes(path.read_bytes()[:inside_p4])
    source = Files(str(path), 10**6)
    members, broken = source.index(str(path))
    assert broken and str(path) in broken and members.num_rows == 5
    unit = fetch(source, photos([f"p{i}" for i in range(6)]))
    assert {row["photo_id"]: row["status"] for row in unit.rows} == dict.fromkeys(("p0", "p1", "p2", "p3"), "ok") | {
        "p4": "corrupt",
        "p5": "not_found",
    }


def test_folders_and_tars_on_s3_are_read_as_on_disk(s3_server, tmp_path: Path) -> None:
    (tmp_path / "p1.jpg").write_bytes(photo("p1"))
    (tmp_path / "p2.jpg").write_bytes(photo("p2")[:500])
    root = s3_server.root("sources", "corpus")
    Workspace(root).upload(tmp_path, "photos")
    tar(tmp_path / "0.tar", {f"x/{name}.jpg": (tmp_path / f"{name}.jpg").read_bytes() for name in ("p1", "p2")})
    (shards := tmp_path / "only").mkdir()
    (tmp_path / "0.tar").rename(shards / "0.tar")
    Workspace(root).upload(shards, "tars")
    for place in ("photos", "tars", "tars/0.tar"):
        source = open_source(s3_server.root("sources", f"corpus/{place}"), FetchConfig())
        unit = fetch(source, photos(["p1", "p2", "gone"]))
        found = {row["photo_id"]: (row["status"], row["bytes"]) for row in unit.rows}
        assert found == {"p1": ("ok", photo("p1")), "p2": ("corrupt", None), "gone": ("not_found", None)}


def test_a_source_that_cannot_be_read_is_refused_with_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no photos: give --photos a folder"):
        open_source(None, FetchConfig())
    with pytest.raises(ConfigError, match="no such folder or .tar"):
        open_source(str(tmp_path / "none"), FetchConfig())
    with pytest.raises(ConfigError, match="unpack it"):
        open_source(str(tmp_path / "photos.tar.gz"), FetchConfig())
    assert isinstance(open_source("urls", FetchConfig()), Urls)
    path = tar(tmp_path / "other.tar", {"other.jpg": photo("x")})
    with pytest.raises(CorpusError, match="none of 1 photos is among the 1 images"):
        fetch(open_source(str(path), FetchConfig()), photos(["p1"]))


def image(name: str, status: str = "ok", content: str = "", same_as: str | None = None) -> dict:
    digest = hashlib.sha256(content.encode()).hexdigest() if status == "ok" else None
    data = content.encode() if status == "ok" and same_as is None else None
    return {"photo_id": name, "status": status, "bytes": data, "content_hash": digest, "same_as": same_as}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two shards; b and c have the bytes of a."""
    workspace = Workspace(str(tmp_path))
    shards = (
        [image("b", content="A", same_as="a"), image("d", content="D")],
        [image("a", content="A"), image("c", content="A", same_as="a"), image("e", "failed"), image("f", "expired")],
    )
    for number, rows in enumerate(shards):
        workspace.write_table(pa.Table.from_pylist(rows, schema=IMAGES), "images", f"part-{number}.parquet")
    finish(workspace, "images")
    return workspace


def test_photos_are_read_by_any_of_the_ids_of_their_bytes(workspace: Workspace) -> None:
    assert read_photos(workspace, ["b", "a", "d", "e", "unknown"]) == {"a": b"A", "b": b"A", "d": b"D"}
    assert copies_of(workspace) == {"a": ["b", "c"]}


def test_the_first_photo_of_a_content_holds_it_however_often_it_is_asked(workspace: Workspace) -> None:
    key = {name: hashlib.sha256(name.encode()).digest()[:16] for name in "AXY"}
    holders = Holders(workspace)
    claims = [(key["A"], "z"), (key["X"], "x1"), (key["X"], "x2"), (key["Y"], "y")]
    assert holders.claim(claims) == ["a", "x1", "x1", "y"] == holders.claim(claims)


def test_a_holder_that_was_noted_but_never_stored_is_still_the_holder(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    workspace.write_table(pa.Table.from_pylist([image("b", content="A", same_as="a")], schema=IMAGES), "images")
    assert Holders(workspace).claim([(hashlib.sha256(b"A").digest()[:16], "a")]) == ["a"]


def test_bytes_are_stored_once_in_a_unit() -> None:
    taken = [image("p", content="A"), image("q", "corrupt"), image("r", content="A"), image("s", content="B")]
    unit = Unit(taken, 10, 0.5)
    assert [name for _, name in unit.contents] == ["p", "r", "s"]
    table = unit.table(["p", "p", "s"])
    assert table["same_as"].to_pylist() == [None, None, "p", None]
    assert table["bytes"].to_pylist() == [b"A", None, None, b"B"]
    counted = unit.count(table)
    assert counted["rows"] == 4 and counted["outcome.ok"] == 3 and counted["outcome.corrupt"] == 1
    assert counted["amount.bytes_in"] == 10 and counted["amount.bytes_out"] == 2


def test_duplicates_whose_bytes_are_gone_are_found() -> None:
    rows = [
        image("a", content="A"),
        image("b", content="A", same_as="a"),
        image("c", "failed"),
        image("d", content="C", same_as="c"),  # its holder failed
        image("e", content="E", same_as="gone"),
        image("f", content="F", same_as="a"),  # its holder holds something else by now
        image("g", content="A", same_as="b"),  # which holds nothing itself
    ]
    assert orphans(pa.Table.from_pylist(rows, schema=IMAGES)).to_pylist() == ["d", "e", "f", "g"]


def test_rows_are_dropped_in_place_and_an_empty_shard_goes(workspace: Workspace) -> None:
    first, second = workspace.shards("images")
    assert [drop_rows(workspace, shard, "status", ["failed", "blocked"]) for shard in (first, second)] == [0, 1]
    assert sorted(read_columns(workspace, ["photo_id"])["photo_id"].to_pylist()) == ["a", "b", "c", "d", "f"]
    assert drop_rows(workspace, first, "photo_id", ["b", "d"]) == 2
    assert workspace.shards("images") == [second]
