"""S3 through a proxy that fails as object stores do: what is written is whole, what is read is what was written."""

import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs

from showcases.errors import ObjectStoreError
from showcases.storage.artifacts import ARTIFACTS, Manifest, Workspace
from showcases.storage.s3 import SteadyS3
from showcases.storage.schemas import GEST_FT
from tests.faulty_proxy import FLAKY, FaultyProxy

LARGE = 23 * 2**20  # bytes: three parts of an upload


def manifest(artifact: str = "gest_ft") -> Manifest:
    step = ARTIFACTS[artifact].step
    return Manifest(artifact, step, {}, {}, "0.1.0", "2026-01-01T00:00:00+00:00", 1.0)


def texts(number: int) -> pa.Table:
    names = [f"{number}-{row}" for row in range(50)]
    return pa.table({"review_id": names, "text": [f"text of {name}" * (number % 7) for name in names]})


def test_several_hundred_requests_on_a_bad_day_give_the_same_bytes(proxy: FaultyProxy, s3_bucket: str) -> None:
    workspace = Workspace(proxy.root(s3_bucket, "bad-day", "max_attempts=20"))
    rates = {kind: 2 * rate for kind, rate in FLAKY.items() if kind != "stall"}
    proxy.spoil(rates)
    names = {f"part-{number:05d}.parquet": texts(number) for number in range(120)}
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: workspace.write_table(names[name], "gest_ft", name), names))
        assert [path.rpartition("/")[2] for path in workspace.shards("gest_ft")] == sorted(names)
        whole = dict(zip(names, pool.map(lambda name: workspace.read_bytes("gest_ft", name), names), strict=True))
    for name, table in names.items():
        assert pq.read_table(pa.BufferReader(whole[name])).equals(table.cast(GEST_FT))
    workspace.finish(manifest())
    assert workspace.read_table("gest_ft").equals(pa.concat_tables(names.values()).cast(GEST_FT))
    assert proxy.requests.total() > 400 and proxy.injected.total() > 50
    assert all(proxy.injected[kind] > 0 for kind in rates), proxy.injected


def test_a_stall_of_two_seconds_is_waited_for(proxy: FaultyProxy, behind: Workspace) -> None:
    behind.write_bytes(b"here", "elsewhere", "a.txt")
    proxy.spoil({"HEAD stall": 1.0}, limit=1)
    assert behind.read_bytes("elsewhere", "a.txt") == b"here"
    assert proxy.injected["stall"] == 1 and proxy.requests["HEAD"] == 1  # not asked twice


def test_a_truncated_body_is_never_taken_for_the_object(proxy: FaultyProxy, behind: Workspace) -> None:
    data = os.urandom(200_000)
    behind.write_bytes(data, "elsewhere", "a.bin")
    behind.write_table(texts(3), "gest_ft")
    behind.finish(manifest())
    proxy.spoil({"GET truncated": 1.0}, limit=1)
    assert behind.read_bytes("elsewhere", "a.bin") == data and proxy.injected["truncated"] == 1
    proxy.spoil({"GET truncated": 1.0}, limit=1, target="parquet")
    assert behind.read_table("gest_ft")["review_id"].to_pylist() == texts(3)["review_id"].to_pylist()
    assert proxy.injected["truncated"] == 1
    proxy.spoil({"GET truncated": 1.0})
    for read in (
        lambda: behind.read_bytes("elsewhere", "a.bin"),
        lambda: behind.manifest("gest_ft"),
        lambda: behind.shards("gest_ft"),
    ):
        with pytest.raises(ObjectStoreError, match="no complete response"):
            read()


@pytest.mark.parametrize("size", [1000, LARGE])
def test_a_write_that_fails_leaves_what_was_there(proxy: FaultyProxy, behind: Workspace, size: int) -> None:
    for before in (None, b"old"):
        if before is not None:
            behind.write_bytes(before, "elsewhere", "a.bin")
        proxy.spoil({"PUT reset": 1.0, "PUT 500": 0.0})
        with pytest.raises(ObjectStoreError, match=r"elsewhere/a\.bin"):
            behind.write_bytes(b"x" * size, "elsewhere", "a.bin")
        proxy.spoil({})
        if before is None:
            with pytest.raises(FileNotFoundError):
                behind.read_bytes("elsewhere", "a.bin")
        else:
            assert behind.read_bytes("elsewhere", "a.bin") == before


@pytest.mark.parametrize("kind", ["lost", "gone"])
def test_a_large_write_whose_last_answer_is_lost_is_whole(proxy: FaultyProxy, behind: Workspace, kind: str) -> None:
    data = os.urandom(LARGE)
    proxy.spoil({f"POST {kind}": 1.0}, limit=1, target="uploadId=")  # the request that ends an upload in parts
    behind.write_bytes(data, "report", "large.bin")
    assert proxy.injected[kind] == 1
    assert behind.read_bytes("report", "large.bin") == data


def test_folders_go_up_and_down_on_a_bad_day(proxy: FaultyProxy, s3_bucket: str, tmp_path: Path) -> None:
    workspace = Workspace(proxy.root(s3_bucket, "folders", "max_attempts=10"))
    files = {f"inner/{number}.bin": os.urandom(1000 * number) for number in range(25)}  # one of them empty
    (tmp_path / "up" / "inner").mkdir(parents=True)
    for name, data in files.items():
        (tmp_path / "up" / name).write_bytes(data)
    proxy.spoil({kind: 2 * rate for kind, rate in FLAKY.items() if kind != "stall"})
    workspace.upload(tmp_path / "up", "selector", "a")
    down = workspace.download("selector", tmp_path / "down", "a")
    assert {str(file.relative_to(down)): file.read_bytes() for file in down.rglob("*.bin")} == files
    assert proxy.injected.total() > 0


def test_the_catalog_is_written_and_read_on_a_bad_day(proxy: FaultyProxy, s3_bucket: str) -> None:
    import lancedb

    from showcases.catalog.location import located

    uri, options = located(Workspace(proxy.root(s3_bucket, "lance")))
    proxy.spoil({kind: rate for kind, rate in FLAKY.items() if kind != "stall"}, limit=10)
    database = lancedb.connect(uri, storage_options=options)
    for number in range(5):
        table = database.create_table(f"t{number}", texts(number + 1))
        assert table.to_arrow().sort_by("review_id").equals(texts(number + 1).sort_by("review_id"))
    assert proxy.injected.total() > 0


def test_patience_does_not_wear_out(proxy: FaultyProxy, s3_bucket: str) -> None:
    filesystem = Workspace(proxy.root(s3_bucket, "patience")).filesystem
    proxy.spoil({"503": 0.3})
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: filesystem.get_file_info(f"{s3_bucket}/nothing").type, range(600)))
    assert set(found) == {fs.FileType.NotFound}
    assert proxy.injected["503"] > 150  # more than the hundred retries that the AWS SDK's `standard` strategy has


def test_patience_travels_with_the_filesystem(proxy: FaultyProxy, s3_bucket: str) -> None:
    here = Workspace(proxy.root(s3_bucket, "travels", "max_attempts=2", "request_timeout=7")).filesystem
    there = pickle.loads(pickle.dumps(here))
    assert isinstance(there, SteadyS3) and isinstance(there, fs.S3FileSystem) and there == here
    proxy.spoil({"500": 1.0})
    with pytest.raises(OSError, match="500"):
        there.get_file_info(f"{s3_bucket}/travels")
    assert proxy.requests == {"HEAD": 2}


@pytest.mark.parametrize("kind", ["500", "503"])
def test_a_file_smaller_than_the_words_of_an_error_is_asked_for_again(
    proxy: FaultyProxy, behind: Workspace, kind: str
) -> None:
    behind.write_bytes(b"few", "elsewhere", "a.txt")
    proxy.spoil({f"GET {kind}": 1.0}, limit=2)  # here the AWS SDK doesn't try again: the words don't fit its buffer
    assert behind.read_bytes("elsewhere", "a.txt") == b"few" and proxy.injected[kind] == 2
