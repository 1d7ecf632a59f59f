"""The main job for a newcomer: the pipeline on the mini corpus, then one showcase fetched over HTTP."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

from jobs.cluster import ROOT
from jobs.config import PipelineConfig, parse
from jobs.pipeline import run_pipeline
from jobs.step import exit_on_error
from jobs.tracking import tracking_uri
from showcases.artifacts import Workspace
from showcases.errors import ShowcasesError

START_SECONDS = 180.0


@contextlib.contextmanager
def service(config: PipelineConfig) -> Iterator[str]:
    """Start the service as a process of its own; yields its address once it is ready, and ends it afterwards."""
    port = free_port()
    command = [sys.executable, "-m", "serve_apps.run", "--root", config.root, "--port", str(port)]
    command += ["--tracking-uri", tracking_uri(config)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait_ready(address, process)
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_ready(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ShowcasesError(f"the service ended with exit code {process.returncode} before it was ready")
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            urllib.request.urlopen(f"{address}/readyz", timeout=5),
        ):
            return
        time.sleep(0.5)
    raise ShowcasesError(f"the service was not ready after {START_SECONDS:.0f} s")


def ask(address: str, body: dict[str, Any]) -> dict[str, Any]:
    """POST /v1/showcases."""
    request = urllib.request.Request(
        f"{address}/v1/showcases", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def example_request(workspace: Workspace) -> dict[str, Any]:
    """A test user and a restaurant that they went to."""
    rows = workspace.read_table("gest_s2").to_pylist()
    row = max((row for row in rows if row["split"] == "test"), key=lambda row: len(row["history_review_ids"]))
    return {"user_id": row["user_id"], "business_id": row["business_id"], "k": 3}


def main(argv: Sequence[str] | None = None) -> None:
    config = parse(argv, prog="python -m jobs.demo")
    started = time.monotonic()
    with exit_on_error():
        ran = run_pipeline(config)
        workspace = Workspace(config.root)
        if "evaluate" not in ran:  # which prints the tables when it runs
            print("\n" + workspace.read_bytes("report", "report.md").decode(), flush=True)
        body = example_request(workspace)
        print("starting the service to fetch one showcase over HTTP", flush=True)
        with service(config) as address:
            print(f"\nPOST {address}/v1/showcases\n{json.dumps(body, indent=2)}")
            print(json.dumps(ask(address, body), indent=2, ensure_ascii=False))
    print(f"\nreport:  {workspace.path('report', 'report.html')}")
    print("service: make serve")
    print("runs and models: make mlflow")
    print(f"demo done in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
