"""Which file is which photo: suffixes, sub-folders, links, shards; what is ambiguous, and what is not there."""

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from showcases.errors import CorpusError
from showcases.gest.config import FetchConfig
from showcases.gest.photos.fetch import STATUSES, fetch_unit
from showcases.gest.photos.sources import Files, open_source
from showcases.gest.photos.sources.members import SUFFIXES
from tests.photo_server import photo

Given = dict[str, str | None]  # URL by photo id


def look(place: Path | str, wanted: list[str] | Given) -> tuple[dict[str, dict], list[str]]:
    """Rows by photo id, and what is reported."""
    urls = wanted if isinstance(wanted, dict) else dict.fromkeys(wanted)
    table = pa.table({"photo_id": list(urls), "url": pa.array(list(urls.values()), pa.string())})
    source = open_source(str(place), FetchConfig())
    assert isinstance(source, Files)
    located, notes = source.located(table)
    unit = fetch_unit(source, located, 256, max_pixels=30_000_000)
    assert sorted(row["photo_id"] for row in unit.rows) == sorted(urls)
    assert all(row["status"] in STATUSES and (row["error"] is None) == (row["status"] == "ok") for row in unit.rows)
    return {row["photo_id"]: row for row in unit.rows}, notes


def bytes_of(place: Path | str, wanted: list[str] | Given) -> dict[str, bytes | None]:
    return {name: row["bytes"] for name, row in look(place, wanted)[0].items()}


class Tar:
    """A tar written member by member, names as often as wanted."""

    def __init__(self, path: Path) -> None:
        self.path, self.archive = path, tarfile.open(path, "w")  # noqa: SIM115 # closed in `done`

    def add(self, name: str, data: bytes) -> "Tar":
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self.archive.addfile(info, io.BytesIO(data))
        return self

    def link(self, name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> "Tar":
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        self.archive.addfile(info)
        return self

    def done(self) -> Path:
        self.archive.close()
        return self.path


def as_folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def as_tar(root: Path, files: dict[str, bytes]) -> Path:
    tar = Tar(root / "all.tar")
    for name, data in files.items():
        tar.add(name, data)
    return tar.done()


Layout = Callable[[Path, dict[str, bytes]], Path]
both = pytest.mark.parametrize("layout", [as_folder, as_tar])


@both
def test_folder_and_tar_know_the_same_suffixes(layout: Layout, tmp_path: Path) -> None:
    suffixes = [form for suffix in SUFFIXES for form in (suffix, suffix.upper(), suffix.capitalize())]
    files = {
        f"p{i}.{suffix}": photo(f"p{i}") for i, suffix in enumerate([*suffixes, "input.jpg", "IMG.JPEG", "bin", "0"])
    }
    files["plain"] = photo("plain")
    names = {name.partition(".")[0] for name in files}
    assert bytes_of(layout(tmp_path, files), sorted(names)) == {name: photo(name) for name in names}


@both
def test_folder_and_tar_look_into_sub_folders(layout: Layout, tmp_path: Path) -> None:
    files = {f"{'ab/' * depth}p{depth}.jpg": photo(f"p{depth}") for depth in range(4)}
    files |= {"ab/._p9.jpg": b"of a file manager", ".cache/p9.jpg": photo("p8") if layout is as_folder else b"x"}
    rows, _ = look(layout(tmp_path, files), ["p0", "p1", "p2", "p3"])
    assert {name: row["bytes"] for name, row in rows.items()} == {f"p{i}": photo(f"p{i}") for i in range(4)}


@both
def test_the_plain_name_outranks_others_of_its_photo(layout: Layout, tmp_path: Path) -> None:
    files = {"p1.mask.png": b"mask", "p1.bin": b"raw", "p1.jpg": photo("p1"), "p1.json": b"{}", "p1.txt": b"a dish"}
    rows, notes = look(layout(tmp_path, files), ["p1"])
    assert rows["p1"]["bytes"] == photo("p1") and notes == []


@both
def test_two_files_of_one_photo_are_reported_and_the_first_is_used(layout: Layout, tmp_path: Path) -> None:
    files = {"a/p1.jpg": photo("first"), "b/p1.png": photo("second"), "b/p2.jpg": photo("p2"), "c/p3.jpg": photo("p3")}
    rows, notes = look(layout(tmp_path, files), ["p1", "p2"])
    assert rows["p1"]["bytes"] == photo("first")
    assert len(notes) == 1 and "1 photos were found more than once" in notes[0]
    assert "a/p1.jpg" in notes[0] and "b/p1.png" in notes[0] and "p2" not in notes[0]


def test_a_photo_in_two_tars_and_beside_them_is_reported(tmp_path: Path) -> None:
    Tar(tmp_path / "1.tar").add("p1.jpg", photo("one")).add("p2.jpg", photo("p2")).done()
    (tmp_path / "deep").mkdir()
    Tar(tmp_path / "deep" / "2.TAR").add("x/p1.jpg", photo("two")).add("p3.jpg", photo("p3")).done()
    as_folder(tmp_path, {"loose/p1.jpg": photo("loose"), "p4.jpeg": photo("p4")})
    rows, notes = look(tmp_path, ["p1", "p2", "p3", "p4"])
    assert [rows[name]["bytes"] for name in ("p1", "p2", "p3", "p4")] == [photo(n) for n in ("loose", "p2", "p3", "p4")]
    assert len(notes) == 1 and all(name in notes[0] for name in ("loose/p1.jpg", "1.tar:p1.jpg", "2.TAR:x/p1.jpg"))


@both
def test_what_is_not_there_is_not_expired_and_the_nearest_names_are_said(layout: Layout, tmp_path: Path) -> None:
    files = {"IMG_0041-small.jpg": photo("a"), "P7.JPEG": photo("b"), "here.jpg": photo("here"), "note.txt": b"hello"}
    rows, notes = look(layout(tmp_path, files), ["here", "IMG_0041", "p7", "zzzzzzzzzzzz", "note"])
    assert {name: row["status"] for name, row in rows.items()} == {
        "here": "ok", "IMG_0041": "not_found", "p7": "not_found", "zzzzzzzzzzzz": "not_found", "note": "not_found",
    }  # fmt: skip
    assert "nearest: IMG_0041-small.jpg" in rows["IMG_0041"]["error"] and "nearest: P7.JPEG" in rows["p7"]["error"]
    assert "there is e.g." in rows["zzzzzzzzzzzz"]["error"] and "found only note.txt" in rows["note"]["error"]
    assert any("3 photos are not in" in note and "nearest: IMG_0041-small.jpg" in note for note in notes)


@both
def test_where_nothing_fits_the_first_names_are_said(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(
        CorpusError, match=r"none of 1 photos is among the 1 images there \(e\.g\. IMG_1\.jpg; wanted e\.g\. p1\)"
    ):
        look(layout(tmp_path, {"sub/IMG_1.jpg": photo("x")}), ["p1"])


def sample(key: str, /, **says: object) -> dict[str, bytes]:
    return {f"{key}.jpg": photo(key), f"{key}.json": json.dumps(says).encode()}


def test_the_url_beside_an_image_outranks_its_running_number(tmp_path: Path) -> None:
    """The corpus names its photos 000000000 and 000000001, too, but they lie in the shard the other way round."""
    files = sample("000000000", url="https://x.test/one", key="000000000")
    files |= sample("000000001", url="https://x.test/nought", key="000000001")
    wanted: Given = {"000000000": "https://x.test/nought", "000000001": "https://x.test/one"}
    assert bytes_of(as_tar(tmp_path, files), wanted) == {
        "000000000": photo("000000001"),
        "000000001": photo("000000000"),
    }


def test_an_image_of_another_url_is_not_taken_for_its_number(tmp_path: Path) -> None:
    files = sample("000000000", url="https://x.test/one") | sample("000000001", photo_id="other")
    wanted: Given = {"000000000": "https://x.test/nought", "000000001": None, "other": None}
    rows, _ = look(as_tar(tmp_path, files), wanted)
    assert {name: row["status"] for name, row in rows.items()} == {
        "000000000": "not_found", "000000001": "not_found", "other": "ok",
    }  # fmt: skip
    assert "no .json has that id" in rows["000000000"]["error"]


def test_a_photo_whose_url_nobody_knows_is_found_by_name(tmp_path: Path) -> None:
    files = sample("p1", url="https://x.test/p1=w600")
    assert bytes_of(as_tar(tmp_path, files), {"p1": None}) == {"p1": photo("p1")}


@pytest.mark.parametrize("says", [17, "17"])
def test_a_photo_id_may_be_a_number(says: object, tmp_path: Path) -> None:
    files = sample("000000003", photo_id=says, url="https://x.test/other")
    assert bytes_of(as_tar(tmp_path, files), {"17": "https://x.test/17"}) == {"17": photo("000000003")}


@pytest.mark.parametrize("says", [True, None, 1.5, [], "", {"a": 1}])
def test_what_is_no_photo_id_leaves_the_name(says: object, tmp_path: Path) -> None:
    assert bytes_of(as_tar(tmp_path, sample("p1", photo_id=says)), ["p1"]) == {"p1": photo("p1")}


def test_a_json_belongs_to_every_image_of_its_key(tmp_path: Path) -> None:
    files = {"0001.input.jpg": photo("in"), "0001.json": b'{"photo_id": "p1"}', "d/0001.jpg": photo("0001")}
    assert bytes_of(as_tar(tmp_path, files), ["p1", "0001"]) == {"p1": photo("in"), "0001": photo("0001")}


def test_of_two_members_of_one_name_the_last_counts(tmp_path: Path) -> None:
    tar = (
        Tar(tmp_path / "all.tar")
        .add("p1.jpg", photo("old"))
        .add("q.json", b'{"photo_id": "p8"}')
        .add("q.jpg", photo("q"))
    )
    tar.add("./p1.jpg", photo("new")).add("q.json", b'{"photo_id": "p9"}')
    rows, notes = look(tar.done(), ["p1", "p9"])
    with tarfile.open(tmp_path / "all.tar") as archive:
        assert archive.extractfile("./p1.jpg").read() == photo("new")  # what unpacking leaves
    assert rows["p1"]["bytes"] == photo("new") and rows["p9"]["bytes"] == photo("q") and notes == []


def test_links_are_followed_inside_their_tar(tmp_path: Path) -> None:
    tar = Tar(tmp_path / "all.tar").link("first.jpg", "data/blob.bin")  # before what it leads to
    tar.add("data/blob.bin", photo("blob")).link("a/hard.jpg", "data/blob.bin", tarfile.LNKTYPE)
    tar.link("a/soft.jpg", "../data/blob.bin").link("a/chain.png", "soft.jpg").link("json.jpg", "data/blob.bin")
    tar.add("json.json", b'{"photo_id": "named"}')
    names = ["first", "hard", "soft", "chain", "named"]
    assert bytes_of(tar.done(), names) == {name: photo("blob") for name in names}


def test_links_that_lead_elsewhere_are_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(photo("secret"))
    tar = Tar(tmp_path / "all.tar").add("ok.jpg", photo("ok"))
    tar.link("up.jpg", "../secret.jpg").link("root.jpg", str(tmp_path / "secret.jpg")).link("none.jpg", "nowhere.jpg")
    tar.link("round.jpg", "about.jpg").link("about.jpg", "round.jpg").link(
        "hard.jpg", "../../secret.jpg", tarfile.LNKTYPE
    )
    rows, _ = look(tar.done(), ["ok", "up", "root", "hard", "none", "round"])
    expected = {
        "ok": ("ok", ""), "up": ("blocked", "path outside the tar"), "root": ("blocked", "path outside the tar"),
        "hard": ("blocked", "path outside the tar"), "none": ("not_found", "to nowhere.jpg, which is not in the tar"),
        "round": ("not_found", "is circular"),
    }  # fmt: skip
    for name, (status, reason) in expected.items():
        assert rows[name]["status"] == status and reason in (rows[name]["error"] or ""), rows[name]


def test_links_of_a_folder_are_followed_and_circles_end(tmp_path: Path) -> None:
    as_folder(tmp_path / "disk2", {"p2.jpg": photo("p2")})
    root = as_folder(tmp_path / "photos", {"a/p1.jpg": photo("p1")})
    os.symlink(tmp_path / "disk2", root / "more")
    os.symlink(root, root / "a" / "circle")
    os.symlink(root / "a" / "p1.jpg", root / "p3.jpg")
    rows, notes = look(root, ["p1", "p2", "p3"])
    assert [rows[name]["bytes"] for name in ("p1", "p2", "p3")] == [
        photo("p1"),
        photo("p2"),
        photo("p1"),
    ] and notes == []


def test_odd_names_in_a_tar_stop_nothing(tmp_path: Path) -> None:
    tar = Tar(tmp_path / "all.tar").add("p1.jpg", photo("p1")).add("\udcff\udcfe.jpg", photo("x"))
    tar.add("deep/" + "d" * 300 + "/p2.jpg", photo("p2")).add("x.json", b'{"photo_id": "\\ud800", "url": "\\udfff"}')
    tar.add("x.jpg", photo("y")).add("y.json", b"[" * 100_000).add("y.jpg", photo("z"))
    assert bytes_of(tar.done(), ["p1", "p2", "y"]) == {"p1": photo("p1"), "p2": photo("p2"), "y": photo("z")}


def test_bytes_decide_what_a_file_is_and_not_its_suffix(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    files = {
        "a.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99),
        "b.jpg": buffer.getvalue(),
        "c.jpg": b"<html>",
    }
    rows, _ = look(as_folder(tmp_path, files), ["a", "b", "c"])
    assert [rows[name]["status"] for name in "abc"] == ["corrupt", "ok", "corrupt"]
    assert "a HEIC photo" in rows["a"]["error"] and "an HTML page" in rows["c"]["error"]
