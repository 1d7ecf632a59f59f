"""Demo: runs the pipeline on the mini corpus, then requests one showcase over HTTP."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from typing import Any

from jobs.pipeline import run_pipeline
from jobs.runner.cluster import ROOT
from jobs.runner.config import PipelineConfig, parse
from jobs.runner.exits import exit_on_error
from jobs.tracking.config import tracking_uri
from showcases.errors import ShowcasesError
from showcases.storage.artifacts import Workspace

START_SECONDS = 180.0


@contextlib.contextmanager
def service(config: PipelineConfig) -> Iterator[str]:
    """Start the service as a subprocess; yields its address once it is ready, and stops it afterwards.

    Raises:
        ShowcasesError: it exited, or took too long.
    """
    command = [sys.executable, "-m", "serve_apps.run", "--root", config.root, "--port", "0"]
    command += ["--tracking-uri", tracking_uri(config)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    late = threading.Timer(START_SECONDS, process.kill)
    late.start()
    try:
        address = _address(process)
        late.cancel()
        yield address
    finally:
        late.cancel()
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()


def _address(process: subprocess.Popen[str]) -> str:
    """Read the address from the line that the service prints when it is ready."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("showcases at "):
            return line.split()[2]
    raise ShowcasesError(f"the service exited with code {process.wait()} before it was ready")


def ask(address: str, body: dict[str, Any]) -> dict[str, Any]:
    """POST /v1/showcases."""
    request = urllib.request.Request(
        f"{address}/v1/showcases", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


def example_request(workspace: Workspace) -> dict[str, Any]:
    """A request for a test user and a restaurant they visited."""
    rows = workspace.read_table("gest_s2").to_pylist()
    row = max((row for row in rows if row["split"] == "test"), key=lambda row: len(row["history_review_ids"]))
    return {"user_id": row["user_id"], "business_id": row["business_id"], "k": 3}


def main(argv: Sequence[str] | None = None) -> None:
    config = parse(argv, prog="python -m jobs.demo")
    started = time.monotonic()
    with exit_on_error():
        ran = run_pipeline(config)
        workspace = Workspace(config.root)
        if "evaluate" not in ran:  # evaluate prints the tables itself when it runs
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
