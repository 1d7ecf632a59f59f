"""A real MLflow server in a process of its own."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run


@contextlib.contextmanager
def mlflow_server(folder: Path, port: int, store: str = "", artifacts: str = "") -> Iterator[str]:
    """Runs inside the block; what it knows lies in `folder`, so that another one goes on from there.

    Args:
        store: URI of its database; by default sqlite in the folder.
        artifacts: where it keeps them; by default in the folder.

    Yields:
        Its URI.
    """
    options = {
        "--backend-store-uri": store or f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination": artifacts or str(folder / "artifacts"),
        "--port": str(port),
        "--workers": "1",
    }
    # no jobs of MLflow's own: eight processes that take longer to start than the server
    environment = os.environ | {"TMPDIR": str(folder), "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command = [sys.executable, "-m", "mlflow", "server", *(part for option in options.items() for part in option)]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment, process_group=0)
        try:
            _wait(f"http://127.0.0.1:{port}/health", process, folder / "server.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # its workers, too
            process.wait(timeout=20)


def _wait(health: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 300  # on a machine that has much else to do
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            if urllib.request.urlopen(health, timeout=5).status == 200:
                return
        time.sleep(0.1)
    raise RuntimeError(f"no MLflow at {health}:\n{log.read_text()}")


def two_runs(uri: str, experiment_name: str) -> dict[str, Run]:
    """The runs of an experiment, two of different names, by name."""
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(experiment_name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 2
    return {run.info.run_name: run for run in runs}
