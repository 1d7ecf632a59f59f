"""The README's `ray job submit` line, run as it stands there against a head of its own and an S3 server."""

import os
import re
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from showcases.artifacts import Workspace

pytestmark = pytest.mark.ray

BIN = Path(sys.executable).parent


@pytest.fixture
def environment() -> dict[str, str]:
    """Of a shell with the virtual environment active, without this repository on its path."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "RAY_ADDRESS")}
    return kept | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def head(free_ports: list[int], short_folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """The dashboard's address of a head with ports and a folder of its own."""
    gcs, dashboard, agent_http, agent_grpc, client, metrics = free_ports
    command = [
        *(str(BIN / "ray"), "start", "--head", "--block", "--num-cpus=2", "--node-ip-address=127.0.0.1"),
        *(f"--port={gcs}", f"--ray-client-server-port={client}", f"--metrics-export-port={metrics}"),
        *("--include-dashboard=true", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"),
        *(f"--dashboard-agent-listen-port={agent_http}", f"--dashboard-agent-grpc-port={agent_grpc}"),
        *(f"--temp-dir={short_folder}", f"--object-store-memory={200 * 2**20}"),
    ]
    log = short_folder / "head.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        address = f"http://127.0.0.1:{dashboard}"
        wait_for_jobs_api(address, process, log)
        yield address
    finally:
        process.terminate()  # `ray start --block` ends what it started
        process.wait(timeout=60)


def wait_for_jobs_api(address: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 120) -> None:
    request = urllib.request.Request(
        f"{address}/api/jobs/", headers={"Authorization": f"Bearer {os.environ['RAY_AUTH_TOKEN']}"}
    )
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise RuntimeError(f"no jobs API at {address}:\n{log.read_text()[-4000:]}")


def readme_command(repository: Path, replacements: dict[str, str]) -> list[str]:
    """README's line, with the places that differ on every cluster replaced; each must be in it."""
    found = re.findall(r"^ray job submit .*?[^\\]$", (repository / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"README.md: {len(found)} commands `ray job submit`, one expected"
    words = shlex.split(found[0].replace("\\\n", " "))
    missing = set(replacements) - set(words)
    assert not missing, f"README.md: not in the `ray job submit` line: {missing}"
    return [replacements.get(word, word) for word in words]


@pytest.mark.timeout(400)
def test_readme_line_writes_the_artifact(
    head: str, s3_server, tiny_corpus: Path, repository: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    workspace = Workspace(s3_server.root("submitted", "showcases"))
    command = readme_command(
        repository,
        {
            "http://127.0.0.1:8265": head,
            "s3://my-bucket/showcases": workspace.root,
            "/data/image_review_all.json": str(tiny_corpus / "image_review_all.json"),
            "http://mlflow.example:5000": f"sqlite:///{tmp_path / 'mlflow.db'}",
        },
    )
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, timeout=360)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    assert "[ingest] done" in done.stdout
    manifest = workspace.require("reviews")
    written = (tiny_corpus / "image_review_all.json").read_text().splitlines()
    assert manifest.rows["reviews"] + sum(manifest.failures.values()) == len(written)
    assert workspace.read_table("reviews").num_rows == manifest.rows["reviews"] > 0
