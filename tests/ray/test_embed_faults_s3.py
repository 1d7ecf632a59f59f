"""Drivers and encoders die while the object store fails now and then: each photo is still there once, unchanged."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from showcases.storage.artifacts import Workspace
from tests.embed_faults import Photos, modified, survive, write_inputs
from tests.faulty_proxy import FLAKY, FaultyProxy, faulty_proxy
from tests.ray.test_embed_faults import check_accounts

pytestmark = pytest.mark.ray


@pytest.fixture
def proxy(s3_server: Any) -> Iterator[FaultyProxy]:
    with faulty_proxy(s3_server.endpoint) as running:
        yield running


def bad_day(proxy: FaultyProxy) -> None:
    proxy.spoil({kind: 2 * rate for kind, rate in FLAKY.items()})


def check_that_it_was_bad(proxy: FaultyProxy) -> None:
    print(f"{proxy.requests.total()} requests, spoilt: {dict(proxy.injected)}")
    assert all(proxy.injected[kind] > 0 for kind in FLAKY if kind != "stall"), proxy.injected
    proxy.spoil({})


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_killed_driver_and_encoder_and_a_failing_store(
    ray_cluster: str, proxy: FaultyProxy, s3_server: Any, tmp_path: Path
) -> None:
    from showcases.clip import ClipEncoder

    photos, unit = Photos(600, shard=200), 16
    workspace = Workspace(proxy.root(s3_server.create_bucket("faults"), "small"))
    write_inputs(workspace, photos)
    bad_day(proxy)
    tracking = f"sqlite:///{tmp_path / 'mlflow.db'}"
    result = survive(workspace, ["encoder", "driver"], 1, photos.count // unit, ray_cluster, tracking, unit)
    assert result.killed == ["encoder", "driver"] and result.kept
    check_that_it_was_bad(proxy)
    times = modified(workspace)
    assert {path: times[path] for path in result.kept} == result.kept  # what stood was not computed again
    vectors, failed = check_accounts(workspace, photos)
    stored = {str(row["photo_id"]): bytes(row["bytes"]) for row in photos.rows() if row.get("bytes")}
    clip = workspace.download("clip", tmp_path / "clip")
    expected, errors = ClipEncoder.from_pretrained(clip).encode_images(list(stored.values()))
    for name, vector, error in zip(stored, expected, errors, strict=True):
        assert (name in failed) == (error is not None)
        if error is None:
            np.testing.assert_allclose(vectors[name], vector, atol=1e-3)  # float16 is within 5e-4


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [0])
def test_twenty_thousand_photos_on_a_bad_day(
    ray_cluster: str, proxy: FaultyProxy, s3_server: Any, tmp_path: Path, seed: int
) -> None:
    photos, unit = Photos(20_000, seed=seed), 64
    tracking = f"sqlite:///{tmp_path / 'mlflow.db'}"
    calm = Workspace(str(tmp_path / "calm"))
    shaken = Workspace(proxy.root(s3_server.create_bucket("faults"), f"large-{seed}"))
    for workspace in (calm, shaken):
        write_inputs(workspace, photos)
    units = photos.count // unit
    undisturbed = survive(calm, [], seed, units, ray_cluster, tracking, unit)
    bad_day(proxy)
    kills = [["encoder", "driver", "encoder"], ["driver", "encoder", "encoder"]][seed % 2]
    result = survive(shaken, kills, seed, units, ray_cluster, tracking, unit)
    assert result.killed == kills
    check_that_it_was_bad(proxy)
    expected, expected_failures = check_accounts(calm, photos)
    vectors, failures = check_accounts(shaken, photos)
    assert sorted(failures) == sorted(expected_failures) and set(vectors) == set(expected)
    for name, vector in expected.items():
        np.testing.assert_array_equal(vectors[name], vector)
    print(f"undisturbed on disk {undisturbed.seconds:.1f} s; on a failing S3, {kills} killed: {result.seconds:.1f} s")


def test_an_expired_credential_ends_the_job_with_one_clear_line(
    ray_cluster: str, proxy: FaultyProxy, s3_server: Any, tmp_path: Path
) -> None:
    from tests.embed_faults import start_driver

    workspace = Workspace(proxy.root(s3_server.create_bucket("faults"), "expired"))
    write_inputs(workspace, Photos(300, shard=100))
    proxy.spoil({"expired": 1.0}, target=r"images(/|%2F)part-00002")  # seen by a worker, when the work is under way
    driver = start_driver(workspace, ray_cluster, f"sqlite:///{tmp_path / 'mlflow.db'}", 16)
    output, _ = driver.communicate(timeout=280)
    assert driver.returncode == 1 and proxy.injected["expired"] > 0
    lines = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, output[-5000:]
    assert "s3://faults/expired/images/part-00002.parquet: the credential has expired (ExpiredToken)" in lines[0]
    proxy.spoil({})
    driver = start_driver(workspace, ray_cluster, f"sqlite:///{tmp_path / 'mlflow.db'}", 16)
    output, _ = driver.communicate(timeout=280)  # with a new one the work goes on
    assert driver.returncode == 0, output[-5000:]
    check_accounts(workspace, Photos(300, shard=100))


def test_ray_data_reads_and_writes_with_the_same_patience(ray_cluster: str, proxy: FaultyProxy, s3_server: Any) -> None:
    import ray

    workspace = Workspace(proxy.root(s3_server.create_bucket("faults"), "data", "max_attempts=7"))
    tables = [pa.table({"review_id": [f"{i}-{j}" for j in range(40)], "text": ["words"] * 40}) for i in range(20)]
    for number, table in enumerate(tables):
        workspace.write_table(table, "gest_ft", f"part-{number:05d}.parquet")
    patience = ray.remote(lambda filesystem: (type(filesystem).__name__, filesystem.max_attempts))
    assert ray.get(patience.remote(workspace.filesystem)) == ("SteadyS3", 7)
    bad_day(proxy)
    read = ray.data.read_parquet(workspace.shards("gest_ft"), filesystem=workspace.filesystem)
    read.write_parquet(workspace.path("alignments"), filesystem=workspace.filesystem)
    assert proxy.injected.total() > 0
    proxy.spoil({})
    found = pa.concat_tables(pq.read_table(path, filesystem=workspace.filesystem, partitioning=None)
                             for path in workspace.shards("alignments"))  # fmt: skip
    assert found.sort_by("review_id").equals(pa.concat_tables(tables).sort_by("review_id"))
