"""A folder like a checkout in which the commands of the docs run: small corpus, small models, the same names."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.docs.shell import ROOT

# jobs/configs/mini.yaml in the sandbox: the options are those of a user, the sizes are small.
QUICK = {
    "mini": {"restaurants": 8, "users": 40, "reviews": 160, "photos": 300, "photo_size": 64, "annotated_reviews": 80},
    "train_clip": {"image_size": 32, "embed_dim": 32, "text_width": 32, "text_layers": 1, "loop": {"epochs": 2}},
    "distill": {"loop": {"epochs": 3}},
    "train_selector": {"variants": ["img+text"], "loop": {"epochs": 1, "batch_size": 32}},
    "train_generator": {
        "variants": ["img+text"],
        "model": {"n_layer": 1, "n_embd": 32, "n_head": 2, "mma_layers": 1, "mma_heads": 2, "vocab_size": 400},
        "loop": {"epochs": 1},
    },
    "evaluate": {"max_examples": 10, "gallery": 3},
}
LINKED = ("benchmarks", "docs", "platform", "serve_apps", "tests", "tuning", "Makefile", "pyproject.toml")


def make(folder: Path, corpus: Path) -> Path:
    """Fill a folder; `corpus` has image_review_all.json, photos/ and labels.json."""
    for name in (*LINKED, "constraints.txt", "README.md"):
        (folder / name).symlink_to(ROOT / name)
    jobs = folder / "jobs"  # copied: it starts processes in the folder that it lies in
    shutil.copytree(ROOT / "jobs", jobs, ignore=shutil.ignore_patterns("__pycache__"))
    (jobs / "configs" / "mini.yaml").write_text(yaml.safe_dump(QUICK))
    (folder / ".venv").mkdir()
    for path in Path(sys.prefix).iterdir():
        if path.name != ".ready":
            (folder / ".venv" / path.name).symlink_to(path)
    (folder / ".venv" / ".ready").touch()  # newer than what make compares it with
    for name in ("image_review_all.json", "photos"):
        (folder / name).symlink_to(corpus / name)
    for name in ("round1.json", "round2.json"):
        (folder / name).symlink_to(corpus / "labels.json")
    for number, photo in enumerate(sorted((corpus / "photos").glob("*.jpg"))[:3], 1):
        (folder / f"{number}.jpg").symlink_to(photo)
    return folder


def environment(folder: Path) -> dict[str, str]:
    """Of a shell with the environment active, as README's `source .venv/bin/activate` and the Makefile leave it."""
    path = f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    kept = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    return kept | {"PATH": path, "PYTHONPATH": f"{folder / 'platform'}{os.pathsep}{folder}", "OMP_NUM_THREADS": "1"}


def run(text: str, folder: Path, replaced: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a block's text with bash in the folder, up to its first failure."""
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", filled(text, replaced or {})],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=1200,
    )


def filled(text: str, replaced: dict[str, str]) -> str:
    """The text with what differs for every reader replaced; each must stand in it."""
    for old, new in replaced.items():
        assert old in text, f"`{old}` is not in\n{text}"
        text = text.replace(old, new)
    return text


@contextmanager
def started(command: str, folder: Path, seconds: float = 300) -> Iterator[str]:
    """The address that a server prints once it is ready; SIGTERM ends it, and it must end well."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=folder,
            env=environment(folder),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield _address(process, log, seconds)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=120)


def _address(process: subprocess.Popen[bytes], log: "tempfile._TemporaryFileWrapper[str]", seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        log.seek(0)
        if found := re.search(r"showcases at (http://\S+)", log.read()):
            return found[1]
        time.sleep(0.5)
    log.seek(0)
    raise AssertionError(f"no address after {seconds} s:\n{log.read()[-4000:]}")
