"""embed against a plain loop, the same loop with our decoding and dtype, and clip-retrieval: photos a second.

    python -m benchmarks.speed.embed [--photos 2000] [--width 1200] [--height 900] [--no_clip_retrieval]

One machine, the same JPEGs, the same ViT-B/32 with random weights, the same threads and batch. Each contender is timed
from its start to its vectors on disk, loading its model included; ours is the step jobs.embed on a running Ray cluster:
planning, starting and loading the encoders, encoding, writing shards, checking ids. Ray's own start
is measured separately. `encoding` excludes loading on all sides: from a loaded model, ours from its first shard, to the
end.
"""

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from benchmarks.harness import cores, finish, parse, print_line
from showcases.storage.artifacts import Workspace
from showcases.storage.schemas import IMAGES, REVIEWS

ROOT = Path(__file__).resolve().parents[2]
MODEL = "ViT-B-32"
CLIP_RETRIEVAL = "clip-retrieval==2.45.0"
SHARD = 512  # photos


@dataclass(frozen=True)
class Timing:
    """What one contender took.

    Attributes:
        seconds: from start to vectors on disk.
        encoding: photos a second once the model is loaded.
    """

    photos: int
    seconds: float
    encoding: float

    @property
    def rate(self) -> float:
        """Photos a second, loading included."""
        return self.photos / self.seconds

    def spoken(self, name: str) -> str:
        return f"{name:<34}{self.seconds:>8.1f} s {self.rate:>8.1f} photos/s   encoding {self.encoding:>8.1f} photos/s"


def main(argv: Sequence[str] | None = None) -> None:
    options = parse(
        __doc__,
        argv,
        photos=(2000, None),
        width=(1200, "px"),
        height=(900, "px"),
        batch=(64, "photos a forward pass, of every contender"),
        unit=(256, "photos a unit of ours"),
        threads=(cores(), "of torch, in every contender"),
        encoders=(1, "actors of ours"),
        folder=(str, "where photos, weights and vectors are written; default: a temporary folder"),
        keep=(False, "leave them there"),
        no_clip_retrieval=(False, "leave (c) out"),
        clip_retrieval_python=(str, "interpreter of an environment that has clip-retrieval already"),
    )
    folder = Path(tempfile.mkdtemp(prefix="embed-benchmark-", dir=options.folder))
    try:
        print(f"writing {options.photos} photos of {options.width} x {options.height} to {folder}", flush=True)
        write_inputs(folder, options)
        compare(folder, options)
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)


def compare(folder: Path, options: argparse.Namespace) -> None:
    """Ours, then each rival, then the table and the line."""
    ours, dtype = run_ours(folder, options)
    print(ours.spoken(f"ours ({dtype})"), flush=True)
    plain = run_loop(folder, options, "plain", "float32")
    print(plain.spoken("(a) plain loop, float32"), flush=True)
    tuned = run_loop(folder, options, "tuned", dtype)
    print(tuned.spoken(f"(b) loop, our decoding, {dtype}"), flush=True)
    rivals = {"(a)": (plain, 3.0), "(b)": (tuned, 0.9)}
    if not options.no_clip_retrieval:
        try:
            theirs = run_clip_retrieval(folder, options)
        except (OSError, subprocess.CalledProcessError, RuntimeError) as error:
            print(f"(c) clip-retrieval is not compared: {error}", flush=True)
        else:
            print(theirs.spoken("(c) clip-retrieval"), flush=True)
            rivals["(c)"] = (theirs, 2.5)
    check_vectors(folder)
    for name, (rival, goal) in rivals.items():
        ratio = ours.rate / rival.rate
        said = "reached" if ratio >= goal else "missed"
        print(f"{name} {ratio:.2f} x, goal {goal} {said}; encoding alone {ours.encoding / rival.encoding:.2f} x")
    print_line("embed", ours.rate / plain.rate, ours.rate, plain.rate, "photos/s", options.threads)


def write_inputs(folder: Path, options: argparse.Namespace) -> None:
    """JPEG files for the rivals, the same bytes in a workspace for us, one set of weights for all."""
    (folder / "photos").mkdir()
    workspace = Workspace(str(folder / "workspace"))
    rows = []
    for number, data in enumerate(photographs(options)):
        (folder / "photos" / f"p{number:06}.jpg").write_bytes(data)
        rows.append({"photo_id": f"p{number:06}", "bytes": data, "status": "ok"})
        if len(rows) == SHARD or number == options.photos - 1:
            workspace.write_table(pa.Table.from_pylist(rows, schema=IMAGES), "images", f"part-{number:06}.parquet")
            rows = []
    reviews = [{"review_id": "r0", "sentences": ["The soup was hot."]}]
    workspace.write_table(pa.Table.from_pylist(reviews, schema=REVIEWS), "reviews")
    write_clip(workspace, folder)
    finish(workspace, "images", "reviews")


def write_clip(workspace: Workspace, folder: Path) -> None:
    """The paper's architecture with random weights: as fast as with its own."""
    import torch

    from showcases.clip.config import CONFIG_FILE, ClipConfig
    from showcases.clip.model import note, open_clip

    torch.manual_seed(0)
    torch.save(open_clip.create_model(MODEL).state_dict(), folder / "weights.pt")
    config = note(ClipConfig(MODEL, str(folder / "weights.pt")))
    workspace.write_bytes(json.dumps(config).encode(), "clip", CONFIG_FILE)
    finish(workspace, "clip")


def photographs(options: argparse.Namespace) -> Iterator[bytes]:
    """JPEGs with a photograph's mixture of smooth ground and fine grain, no two alike."""
    rng = np.random.default_rng(0)
    size = (options.width, options.height)
    grain = rng.integers(-20, 21, (options.height + 64, options.width + 64, 1), np.int16)
    for _ in range(options.photos):
        ground = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
        top, left = rng.integers(0, 64, 2)
        pixels = np.asarray(ground, np.int16) + grain[top : top + options.height, left : left + options.width]
        buffer = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=85)
        yield buffer.getvalue()


def run_ours(folder: Path, options: argparse.Namespace) -> tuple[Timing, str]:
    """The step jobs.embed, as the pipeline runs it."""
    from mlflow import MlflowClient

    from jobs import embed
    from jobs.runner import cluster
    from jobs.runner.config import PipelineConfig
    from jobs.runner.execute import execute
    from jobs.tracking.config import tracking_uri
    from showcases.clip.config import EmbedConfig

    workspace = Workspace(str(folder / "workspace"))
    config = PipelineConfig(
        root=workspace.root,
        embed=EmbedConfig(batch_size=options.batch, photos_per_unit=options.unit),
        cluster=cluster.ClusterConfig(encoder_threads=options.threads, encoders=options.encoders),
    )
    MlflowClient(tracking_uri(config)).search_experiments()  # makes its database, once for a workspace
    started = time.perf_counter()
    with cluster.connected(config.cluster):
        print(f"Ray started in {time.perf_counter() - started:.1f} s", flush=True)
        started = time.perf_counter()
        execute(embed.STEP, workspace, config)
        seconds = time.perf_counter() - started
    metrics = workspace.require("image_embeddings").metrics
    return Timing(options.photos, seconds, _shard_rate(workspace)), str(metrics["dtype"])


def _shard_rate(workspace: Workspace) -> float:
    """Photos a second between the first shard and the last."""
    import pyarrow.parquet as pq

    found = workspace.filesystem.get_file_info(workspace.shards("image_embeddings"))
    shards = sorted((info.mtime_ns / 1e9, pq.read_metadata(info.path).num_rows) for info in found)
    seconds = shards[-1][0] - shards[0][0]
    return sum(rows for _, rows in shards[1:]) / seconds if seconds else float("nan")


def run_loop(folder: Path, options: argparse.Namespace, decode: str, dtype: str) -> Timing:
    command = [sys.executable, "-m", "benchmarks.speed.embed_loop", "--decode", decode, "--dtype", dtype]
    command += ["--photos", str(folder / "photos"), "--model", MODEL, "--weights", str(folder / "weights.pt")]
    command += ["--clip", str(folder / "workspace" / "clip"), "--out", str(folder / f"{decode}.npy")]
    command += ["--batch", str(options.batch), "--threads", str(options.threads)]
    return time_process(command, "ready", options)


def run_clip_retrieval(folder: Path, options: argparse.Namespace) -> Timing:
    """`clip-retrieval inference` in an environment of its own, offline, on the same weights.

    Raises:
        CalledProcessError, RuntimeError: it can't be installed or does not run; the message says why.
    """
    python = Path(options.clip_retrieval_python or make_environment(folder / "clip-retrieval"))
    command = [str(python), str(ROOT / "benchmarks" / "speed" / "clip_retrieval_run.py"), str(folder / "photos")]
    command += [str(folder / "theirs"), f"open_clip:{MODEL}/{folder / 'weights.pt'}"]
    command += [str(options.batch), str(options.threads)]
    timing = time_process(command, "done warming up", options)
    if not list((folder / "theirs").rglob("*.npy")):
        raise RuntimeError("it ran, but wrote no vectors")
    return timing


def make_environment(folder: Path) -> Path:
    """A virtual environment with clip-retrieval and our torch's version; its interpreter."""
    print(f"installing {CLIP_RETRIEVAL} (some minutes)", flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = folder / "bin" / "python"
    versions = [f"{name}=={version(name).partition('+')[0]}" for name in ("torch", "torchvision")]
    done = subprocess.run(
        [str(python), "-m", "pip", "install", "--quiet", CLIP_RETRIEVAL, *versions, "setuptools<81"],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"pip could not install it: {done.stderr.strip()[-800:]}")
    return python


def time_process(command: Sequence[str], ready: str, options: argparse.Namespace) -> Timing:
    """Time a process to its end, and from the line that says it is ready.

    Raises:
        RuntimeError: it failed.
    """
    threads = str(options.threads)
    path = os.pathsep.join((str(ROOT / "platform"), str(ROOT)))
    environment = os.environ | {"OMP_NUM_THREADS": threads, "PYTHONPATH": path, "HF_HUB_OFFLINE": "1"}
    started = loaded = time.perf_counter()
    said = []
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            said.append(line)
            if ready in line:
                loaded = time.perf_counter()
    ended = time.perf_counter()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command[:3])} failed:\n{''.join(said)[-1500:]}")
    return Timing(options.photos, ended - started, options.photos / (ended - loaded))


def check_vectors(folder: Path) -> None:
    """Ours, the plain loop's and the tuned loop's vectors of the same photos point the same way, or all is void."""
    table = Workspace(str(folder / "workspace")).read_table("image_embeddings").sort_by("id")
    ours = np.array(table["vector"].to_pylist(), np.float32)
    for name in ("plain", "tuned"):
        theirs = np.load(folder / f"{name}.npy").astype(np.float32)
        cosine = (ours * theirs).sum(1).min() if ours.shape == theirs.shape else 0.0
        print(f"least cosine of our vectors to those of the {name} loop: {cosine:.4f}")
        if cosine < 0.98:
            raise SystemExit(f"the {name} loop did other work than we did: nothing is compared")


if __name__ == "__main__":
    main()
