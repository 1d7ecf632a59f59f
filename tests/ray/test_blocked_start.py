"""A Ray that really does not start ends a command with one line and a code that is worth another try."""

import os
import sys
from pathlib import Path

import pytest
import ray

from jobs.runner.exits import UNAVAILABLE
from tests.mounts import run_with

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.mark.timeout(240)
def test_a_raylet_that_dies_at_its_start(
    repository: Path, tiny_corpus: Path, tmp_path: Path, short_folder: Path
) -> None:
    raylet = Path(ray.__file__).parent / "core" / "src" / "ray" / "raylet" / "raylet"
    broken = f"mount --bind /bin/false '{raylet}' && true {{0}}"
    command = [sys.executable, "-m", "jobs.ingest", "--root", str(tmp_path / "workspace")]
    command += ["--reviews", str(tiny_corpus / "image_review_all.json")]
    path = f"{repository / 'platform'}{os.pathsep}{repository}"
    done = run_with(broken, tmp_path, command, PYTHONPATH=path, RAY_TMPDIR=str(short_folder))
    assert done.returncode == UNAVAILABLE, done.stderr
    assert "Traceback" not in done.stderr
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: Ray did not start on this machine: ")
    assert f"{short_folder}/ray/session_latest/logs" in line
