"""A publish is seen whole or not at all, wherever it is cut off, and old versions go when their time is over."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from showcases.catalog import Catalog, CatalogError, located, photos_schema, reviews_schema, versions
from showcases.storage.artifacts import Workspace
from tests.unit.catalog.made_up import DIM, PHOTOS, REVIEWS, SPACE, batches, write

PUBLISHES = 10
WRITER = """
import sys, time
from showcases.catalog import Catalog, versions
from tests.unit.catalog.made_up import DIM, PHOTOS, REVIEWS, SPACE, batches, photos_schema, reviews_schema

def hang(*_):
    print("now", flush=True)
    time.sleep(600)

def reviews():
    yield from batches(REVIEWS, reviews_schema(DIM), 5)
    if sys.argv[2] == "reviews":
        hang()

replace = versions.os.replace

def stop_short(old, new):  # the new pointer is written under another name, but not yet renamed
    hang() if new.endswith("current.json") else replace(old, new)

if sys.argv[2] == "pointer":
    versions.os.replace = stop_short
Catalog.write(sys.argv[1], batches(PHOTOS[:7], photos_schema(DIM)), reviews(), SPACE)
"""


def folders(place: Path) -> set[str]:
    return {path.name for path in place.glob("v-*")}


def publish(uri: str, number: int, space: str = SPACE) -> None:
    """Version `number`: 20 + number photos, of one business and one user, whose ids name the version."""
    rows = [
        PHOTOS[row] | {"photo_id": f"{number}-{row}", "business_id": "b", "user_id": "u"} for row in range(20 + number)
    ]
    said = [REVIEWS[row] | {"review_id": f"{number}-{row}", "user_id": "u"} for row in range(10)]
    Catalog.write(uri, batches(rows, photos_schema(DIM)), batches(said, reviews_schema(DIM)), space)


def version_seen(catalog: Catalog) -> int:
    """The version that one lookup saw; fails where it saw a part of one, or of two."""
    ids = catalog.photos_of_business("b").ids
    number = int(ids[0].partition("-")[0])
    assert sorted(ids) == sorted(f"{number}-{row}" for row in range(20 + number))
    return number


def test_readers_see_whole_versions_while_publishes_switch(tmp_path: Path) -> None:
    uri = str(tmp_path)
    publish(uri, 0)
    seen: list[int] = []
    failures: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        catalog = Catalog.open(uri)
        try:
            while not done.is_set():
                seen.append(version_seen(catalog))
                catalog.refresh()
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, PUBLISHES + 1):
        publish(uri, number)
    done.set()
    for reader in readers:
        reader.join()
    assert failures == []
    assert len(set(seen)) > 2 and set(seen) <= set(range(PUBLISHES + 1))
    assert version_seen(Catalog.open(uri)) == PUBLISHES


def test_an_opened_version_is_read_until_refresh(tmp_path: Path) -> None:
    uri = str(tmp_path)
    publish(uri, 1)
    catalog = Catalog.open(uri)
    before = catalog.version
    assert catalog.is_current() and not catalog.refresh()
    publish(uri, 2)
    assert not catalog.is_current() and version_seen(catalog) == 1 and catalog.version == before
    assert catalog.refresh() and version_seen(catalog) == 2 and catalog.is_current() and catalog.version != before


@pytest.mark.parametrize("where", ["reviews", "pointer"])
def test_a_killed_publish_leaves_the_old_version_and_the_next_cleans_up(
    tmp_path: Path, repository: Path, where: str
) -> None:
    write(str(tmp_path))
    before = folders(tmp_path)
    command = [sys.executable, "-c", WRITER, str(tmp_path), where]
    environment = os.environ | {"PYTHONPATH": f"{repository / 'platform'}:{repository}"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"now\n"
        writer.send_signal(signal.SIGKILL)
    left = folders(tmp_path) - before
    assert len(left) == 1  # it had begun
    assert Catalog.open(str(tmp_path)).served()[1]["photos"] == len(PHOTOS)
    write(str(tmp_path))
    assert folders(tmp_path) >= before and not folders(tmp_path) & left


def test_a_publish_that_fails_leaves_nothing(tmp_path: Path) -> None:
    write(str(tmp_path))
    before = folders(tmp_path)

    def broken() -> list[pa.RecordBatch]:
        yield from batches(REVIEWS, reviews_schema(DIM))
        raise OSError("no more reviews")

    with pytest.raises((OSError, RuntimeError), match="no more reviews"):
        Catalog.write(str(tmp_path), batches(PHOTOS[:5], photos_schema(DIM)), broken(), SPACE)
    assert folders(tmp_path) == before
    assert Catalog.open(str(tmp_path)).served()[1]["photos"] == len(PHOTOS)


def test_old_versions_are_kept_for_a_while_and_the_last_one_in_any_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = versions.Versions(str(tmp_path), {})

    def published() -> str:
        with place.publishing() as name:
            (tmp_path / name).mkdir()
        return name

    names = [published() for _ in range(4)]
    assert folders(tmp_path) == set(names) and place.current() == names[-1]
    monkeypatch.setattr(versions, "KEEP_SECONDS", 0)
    names.append(published())
    assert folders(tmp_path) == set(names[-2:]) == {version.name for version in place.history()}


def test_of_two_publishes_at_once_the_later_one_wins(tmp_path: Path) -> None:
    place = versions.Versions(str(tmp_path), {})
    with pytest.raises(CatalogError, match="another publish .* has started"), place.publishing() as first:
        (tmp_path / first).mkdir()
        with place.publishing() as second:
            (tmp_path / second).mkdir()
    assert place.current() == second
    with place.publishing() as third:
        (tmp_path / third).mkdir()
    assert folders(tmp_path) == {second, third}


def test_a_sweep_leaves_a_publish_that_has_begun_since(tmp_path: Path) -> None:
    place = versions.Versions(str(tmp_path), {})
    with place.publishing() as first:
        (tmp_path / first).mkdir()
    other = place.publishing()
    begun = other.__enter__()
    (tmp_path / begun).mkdir()
    place._sweep()
    assert folders(tmp_path) == {first, begun}
    other.__exit__(None, None, None)
    assert place.current() == begun


@pytest.mark.parametrize(
    "content", ["", "{", '{"versions": 3}', '{"versions": [{"name": "../elsewhere", "published": ""}]}']
)
def test_a_pointer_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "current.json").write_text(content)
    with pytest.raises(CatalogError, match=r"current\.json"):
        Catalog.open(str(tmp_path))


def test_vectors_of_another_encoder_are_not_gone_over_to(tmp_path: Path) -> None:
    publish(str(tmp_path), 1)
    catalog = Catalog.open(str(tmp_path))
    publish(str(tmp_path), 2, "another/encoder")
    with pytest.raises(CatalogError, match="restart the service"):
        catalog.refresh()
    assert version_seen(catalog) == 1 and catalog.embedding_space == SPACE


def test_tables_from_before_versions_go_with_the_second_publish(tmp_path: Path) -> None:
    (tmp_path / "photos.lance").mkdir()
    write(str(tmp_path))
    assert (tmp_path / "photos.lance").exists()  # a service of that time may be reading
    write(str(tmp_path))
    assert not (tmp_path / "photos.lance").exists()


def test_versions_on_s3(s3_server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "KEEP_SECONDS", 0)
    workspace = Workspace(s3_server.root("versions"))
    uri, options = located(workspace)
    place = versions.Versions(uri, options)
    for _ in range(3):
        with place.publishing() as name:
            workspace.write_bytes(b"table", "catalog", name, "photos.lance")
    kept = [version.name for version in place.history()]
    assert len(kept) == 2 and place.current() == kept[0]
    found = workspace.filesystem.get_file_info(versions.fs.FileSelector(workspace.path("catalog")))
    assert {info.base_name for info in found if info.base_name.startswith("v-")} == set(kept)
    assert json.loads(workspace.read_bytes("catalog", "current.json"))["versions"][0]["name"] == kept[0]
