"""2,000 photos from a server that misbehaves in every way: each is accounted for, and none asked for in vain."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from jobs import fetch_images
from jobs.runner.config import CorpusConfig, PipelineConfig
from jobs.runner.execute import execute
from showcases.gest.config import FetchConfig, HttpConfig
from showcases.gest.photos.images import read_columns, read_photos
from showcases.storage.artifacts import Workspace
from showcases.storage.schemas import PHOTOS
from tests.artifacts import put
from tests.photo_server import PhotoServer, photo, photo_server
from tests.unfinished import under_way
from tests.waiting import wait_until

pytestmark = pytest.mark.ray

MANNERS = HttpConfig(
    hosts=("photos.test",),
    allow_private=("127.0.0.1/32",),  # where the server is
    addresses={"photos.test": "127.0.0.1", "inside.photos.test": "10.0.0.7"},
    tasks=2,
    tries=3,
    backoff=0.05,
    try_seconds=5.0,  # a machine under load answers late, too
    seconds=40.0,
)
FETCH = FetchConfig(max_bytes=300_000, unit=100, max_failed=0.9, http=MANNERS)
STATUSES = {
    "ok": {"ok": 1600, "twin": 40, "slow": 40, "again": 40, "moved": 40},
    "expired": {"404": 40, "410": 10, "403": 10},
    "corrupt": {"html": 20, "empty": 10},
    "too_large": {"bomb": 5, "huge": 10, "endless-body": 5},
    "blocked": {"inside": 10, "outside": 10, "literal": 10, "scheme": 10, "nowhere": 5, "none": 5},
    "failed": {"503": 20, "later": 10, "reset": 10, "long": 10, "short": 10, "hang": 5, "endless": 10, "401": 5},
}


@pytest.fixture
def server() -> Iterator[PhotoServer]:
    with photo_server() as running:
        yield running


def write_photos(workspace: Workspace, urls: dict[str, str | None]) -> None:
    rows = [{"photo_id": name, "url": url} for name, url in urls.items()]
    put(workspace, "photos", pa.Table.from_pylist(rows, schema=PHOTOS))


def test_each_of_2000_photos_is_accounted_for_and_failures_alone_are_retried(
    ray_cluster: str, server: PhotoServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = [(kind, status) for status, counts in STATUSES.items() for kind, n in counts.items() for _ in range(n)]
    names = {f"{kind}_{i}": (kind, status) for i, (kind, status) in enumerate(kinds)}
    workspace = Workspace(str(tmp_path))
    mixed = random.Random(0).sample(list(names), len(names))
    mixed.sort(key=lambda name: names[name][0] != "hang")  # every kind in every unit, but those that take long
    write_photos(workspace, {n: server.url(names[n][0], n) if names[n][0] != "none" else None for n in mixed})
    config = PipelineConfig(root=str(tmp_path), corpus=CorpusConfig("unused", "urls"), fetch_images=FETCH)
    assert len(names) == 2000 and execute(fetch_images.STEP, workspace, config)

    found = {row["photo_id"]: row for row in workspace.read_table("images").to_pylist()}
    assert {name: row["status"] for name, row in found.items()} == {name: status for name, (_, status) in names.items()}
    assert all((row["error"] is None) == (row["status"] == "ok") for row in found.values())
    twins = [row for name, row in found.items() if names[name][0] == "twin"]
    assert sum(row["bytes"] is not None for row in twins) == 1 and len({row["same_as"] for row in twins}) == 2
    sample = [name for name, (kind, _) in names.items() if kind in ("twin", "again", "moved")]
    expected = {name: photo("twin" if names[name][0] == "twin" else f"{name}.jpg") for name in sample}
    assert read_photos(workspace, sample) == expected
    manifest = workspace.require("images")
    assert manifest.rows == {"ok": 1760, "duplicates": 39}
    assert manifest.failures == {name: sum(STATUSES[name].values()) for name in STATUSES if name != "ok"}
    assert manifest.metrics["rows"] == 2000 and manifest.metrics["bytes_in"] > manifest.metrics["bytes_out"] > 0
    assert "1,760 ok" in capsys.readouterr().out
    check_requests(server.requests, names)

    assert not execute(fetch_images.STEP, workspace, config)  # it stands
    faster = replace(config, fetch_images=replace(FETCH, http=replace(MANNERS, tasks=3, tries=2)))
    assert not execute(fetch_images.STEP, workspace, faster)  # manners change no photo
    server.healed, before = {"503", "reset", "long", "hang", "404"}, Counter(server.requests)
    again = replace(faster, fetch_images=replace(faster.fetch_images, retry="failed"))
    assert execute(fetch_images.STEP, workspace, again)
    asked = {Path(path).stem for path in server.requests - before} - {"passwd"}
    assert asked == {name for name, (_, status) in names.items() if status == "failed"}
    healed = sum(STATUSES["failed"][kind] for kind in server.healed - {"404"})
    assert workspace.require("images").rows["ok"] == 1760 + healed
    assert workspace.require("images").failures == manifest.failures | {"failed": 80 - healed}
    assert not execute(fetch_images.STEP, workspace, config)


def check_requests(requests: Counter[str], names: dict[str, tuple[str, str]]) -> None:
    """As many as a photo of its kind is worth."""
    asked = Counter({Path(path).stem: 0 for path in requests})
    for path, count in requests.items():
        asked[Path(path).stem] += count
    for name, (kind, _) in names.items():
        if kind == "reset":  # aiohttp by itself asks once more where a connection breaks before there is an answer
            assert 3 <= asked.pop(name) <= 6
            asked[name] = 3
    worth = {"again": 2, "moved": 2, "503": 3, "reset": 3, "long": 3, "short": 3, "hang": 3, "endless": 6, "none": 0}
    assert {name: asked[name] for name in names} == {name: worth.get(kind, 1) for name, (kind, _) in names.items()}


def test_a_killed_run_goes_on_and_asks_for_nothing_that_stands(
    ray_cluster: str, server: PhotoServer, tmp_path: Path, repository: Path
) -> None:
    server.pause = 0.1
    workspace = Workspace(str(tmp_path / "workspace"))
    urls = {f"p{i}": server.url("twin" if i % 50 == 0 else "ok", f"p{i}") for i in range(1000)}
    write_photos(workspace, dict(urls))
    fetch = replace(FETCH, unit=50, http=replace(MANNERS, connections=10))
    run = start_driver(repository, ray_cluster, workspace, fetch, tmp_path)
    try:
        wait_until(lambda: len(under_way(workspace, "images").shards("images")) >= 4 or run.poll() is not None, 90)
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait(10)
    wait_until(lambda: server.open == 0, 20)
    time.sleep(1.0)  # for what was fetched to be written, or never
    wait_until(lambda: server.open == 0, 20)
    standing = set(read_columns(under_way(workspace, "images"), ["photo_id"])["photo_id"].to_pylist())
    assert 200 <= len(standing) < 1000 and workspace.manifest("images") is None

    server.pause, before = 0.0, Counter(server.requests)
    config = PipelineConfig(root=workspace.root, corpus=CorpusConfig("unused", "urls"), fetch_images=fetch)
    assert execute(fetch_images.STEP, workspace, config)
    asked = {Path(path).stem for path in server.requests - before}
    assert asked == set(urls) - standing
    twice = [path for path, count in server.requests.items() if count > 1]
    assert len(twice) <= fetch.unit * fetch.http.tasks and max(server.requests.values()) <= 2
    rows = workspace.read_table("images", ["photo_id", "status", "same_as"]).to_pylist()
    assert Counter(row["photo_id"] for row in rows) == Counter(urls.keys())
    assert all(row["status"] == "ok" for row in rows) and sum(row["same_as"] is not None for row in rows) == 19
    assert read_photos(workspace, urls) == {
        name: photo("twin" if "/twin/" in url else f"{name}.jpg") for name, url in urls.items()
    }


def start_driver(
    repository: Path, address: str, workspace: Workspace, fetch: FetchConfig, folder: Path
) -> subprocess.Popen[bytes]:
    """The step as a process of its own, on the same cluster."""
    manners = {name: getattr(fetch.http, name) for name in ("tasks", "connections", "tries", "addresses")}
    manners |= {name: list(getattr(fetch.http, name)) for name in ("hosts", "allow_private")}
    options = {name: getattr(fetch, name) for name in ("max_bytes", "unit", "max_failed")} | {"http": manners}
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({"root": workspace.root, "fetch_images": options, "cluster": {"address": address}}))
    command = [sys.executable, "-m", "jobs.fetch_images", "--config", str(path), "--reviews", "unused"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(repository / "platform"), str(repository)))}
    return subprocess.Popen([*command, "--photos", "urls"], cwd=repository, env=environment)
