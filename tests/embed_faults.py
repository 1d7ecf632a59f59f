"""Embedding while things die: photos to embed, a driver in a process of its own, kills at seeded times, and the count
of what came of it. Works on any workspace root, a folder or s3://."""

import contextlib
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from showcases.storage.artifacts import Workspace
from showcases.storage.schemas import IMAGES, REVIEWS
from tests.artifacts import finish
from tests.unfinished import under_way

SIZE = 32  # px, of photos and encoder
ENCODER = "MapWorker(Map(_Encoding))"  # as Ray titles the process
KILLS_BETWEEN = (0.1, 0.6)  # of the shards: late enough to have something to lose, early enough to lose something


@dataclass(frozen=True)
class Photos:
    """What lies in `images`, made from a seed.

    Attributes:
        count: photos that are ok, of which `corrupt` don't decode, and `twins` more that are exact duplicates.
    """

    count: int
    seed: int = 0
    corrupt: float = 0.01
    twins: float = 0.02
    shard: int = 500

    def rows(self) -> Iterator[dict[str, object]]:
        rng = np.random.default_rng(self.seed)
        stored = self.count - int(self.count * self.twins)
        broken = set(rng.choice(stored, int(self.count * self.corrupt), replace=False).tolist())
        for number in range(stored):
            data = noise_jpeg(rng)
            yield self._row(f"p{number}", data[: len(data) // 3] if number in broken else data)
            if number % 50 == 0:
                yield {"photo_id": f"gone{number}", "status": "expired", "error": "no such file"}
        for number in range(self.count - stored):
            yield {**self._row(f"twin{number}", None), "same_as": f"p{rng.integers(stored)}"}

    def _row(self, name: str, data: bytes | None) -> dict[str, object]:
        return {"photo_id": name, "bytes": data, "status": "ok", "width": SIZE, "height": SIZE}


@dataclass
class Survival:
    """What happened to a run that was killed now and then.

    Attributes:
        killed: "driver" or "encoder", in order.
        kept: modification time by file name, of the shards that stood when a new driver began.
        seconds: wall clock, with all restarts.
    """

    killed: list[str] = field(default_factory=list)
    kept: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


def noise_jpeg(rng: np.random.Generator) -> bytes:
    """A small photo of nothing, different from any other."""
    buffer = io.BytesIO()
    small = rng.integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(small).resize((SIZE, SIZE + 8), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def write_inputs(workspace: Workspace, photos: Photos) -> None:
    """Finished `images`, `reviews` and `clip` (small, untrained) for embed to read."""
    import torch

    from showcases.clip import model
    from showcases.clip.config import TrainClipConfig

    rows = list(photos.rows())
    for number, start in enumerate(range(0, len(rows), photos.shard)):
        table = pa.Table.from_pylist(rows[start : start + photos.shard], schema=IMAGES)
        workspace.write_table(table, "images", f"part-{number:05d}.parquet")
    reviews = [{"review_id": f"r{i}", "sentences": [f"Dish {i} was good.", "Thanks."]} for i in range(50)]
    workspace.write_table(pa.Table.from_pylist(reviews, schema=REVIEWS), "reviews")
    torch.manual_seed(0)
    config = model.small_config(
        replace(TrainClipConfig(), image_size=SIZE, embed_dim=16, text_width=32, text_layers=1, context_length=16)
    )
    with tempfile.TemporaryDirectory() as folder:
        model.save(model.build(config), config, Path(folder))
        workspace.upload(Path(folder), "clip")
    finish(workspace, "images", "reviews", "clip")


def survive(
    workspace: Workspace, kills: Sequence[str], seed: int, units: int, address: str, tracking: str, unit: int
) -> Survival:
    """Run embed until it is done, killing it on the way.

    Args:
        kills: "driver" and "encoder", in the order that they die; the times are drawn, as shares of `units`.
        units: shards of photos that there will be, about.
        address: of a Ray cluster that this process started, or that a driver of it did.
        tracking: MLflow's URI.
        unit: photos a unit.

    Raises:
        AssertionError: a driver failed by itself, or was done before its time to die had come.
    """
    rng = random.Random(seed)
    times = sorted(rng.uniform(*KILLS_BETWEEN) * units for _ in kills)
    result, started = Survival(), time.monotonic()
    driver = start_driver(workspace, address, tracking, unit)
    try:
        for victim, due in zip(kills, times, strict=True):
            _wait_for_shards(workspace, due, driver)
            kill(driver.pid if victim == "driver" else _wait_for_encoder(driver))
            result.killed.append(victim)
            if victim == "driver":
                driver.communicate()
                result.kept |= modified(workspace)
                driver = start_driver(workspace, address, tracking, unit)
        output, _ = driver.communicate(timeout=600)
        assert driver.returncode == 0, output[-8000:]
    finally:
        if driver.poll() is None:
            driver.kill()
            driver.communicate()
    result.seconds = time.monotonic() - started
    return result


def start_driver(workspace: Workspace, address: str, tracking: str, unit: int) -> subprocess.Popen[str]:
    """`python -m jobs.embed`, as a user runs it."""
    command = [sys.executable, "-m", "jobs.embed", "--root", workspace.root, "--cluster.address", address]
    command += ["--tracking.uri", tracking, "--embed.dtype", "float32", "--embed.photos_per_unit", str(unit)]
    root = Path(__file__).resolve().parent.parent
    path = os.pathsep.join((str(root / "platform"), str(root)))
    return subprocess.Popen(
        command, cwd=root, env=os.environ | {"PYTHONPATH": path}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def kill(pid: int) -> None:
    """SIGKILL to one process that this one, or a child of it, started."""
    assert pid in descendants()
    os.kill(pid, signal.SIGKILL)


def descendants() -> dict[int, str]:
    """Title by process id of what this process and its children started, Ray's workers among them."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    mine, size = {os.getpid()}, 0
    while len(mine) > size:
        size = len(mine)
        mine |= {pid for pid, parent in parents.items() if parent in mine}
    titles: dict[int, str] = {}
    for pid in mine - {os.getpid()}:
        with contextlib.suppress(OSError):
            titles[pid] = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return titles


def modified(workspace: Workspace) -> dict[str, int]:
    """Modification time in ns of each shard of vectors, by its file name: finished, or where they are being built."""
    found = workspace.filesystem.get_file_info(under_way(workspace, "image_embeddings").shards("image_embeddings"))
    return {info.base_name: info.mtime_ns for info in found}


def vectors_and_failures(workspace: Workspace) -> tuple[dict[str, np.ndarray], list[str]]:
    """Vectors by id, and the ids of failures; each id is seen once, in one of them, or this fails."""
    table = pa.concat_tables(_read(workspace, path) for path in workspace.shards("image_embeddings"))
    failed = [name for path in workspace.shards("embed_failures") for name in _read(workspace, path)["id"].to_pylist()]
    ids = table["id"].to_pylist()
    assert len(ids) + len(failed) == len({*ids, *failed})
    return dict(zip(ids, np.array(table["vector"].to_pylist(), np.float32), strict=True)), failed


def _read(workspace: Workspace, path: str) -> pa.Table:
    return pq.read_table(path, filesystem=workspace.filesystem, partitioning=None)


def _wait_for_shards(workspace: Workspace, count: float, driver: subprocess.Popen[str], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while len(under_way(workspace, "image_embeddings").shards("image_embeddings")) < count:
        _must_run(driver, f"{count:.0f} shards", deadline)
        time.sleep(0.01)


def _wait_for_encoder(driver: subprocess.Popen[str], seconds: float = 120) -> int:
    """Process id of an encoder actor of this cluster."""
    deadline = time.monotonic() + seconds
    while True:
        for pid, title in descendants().items():
            if ENCODER in title:
                return pid
        _must_run(driver, "an encoder", deadline)
        time.sleep(0.01)


def _must_run(driver: subprocess.Popen[str], awaited: str, deadline: float) -> None:
    if driver.poll() is not None:
        raise AssertionError(f"the driver ended before there was {awaited}:\n{driver.communicate()[0][-8000:]}")
    if time.monotonic() > deadline:
        raise AssertionError(f"waited in vain for {awaited}")
