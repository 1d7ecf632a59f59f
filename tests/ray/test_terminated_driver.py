"""SIGTERM while a driver waits for Ray: Ray's own handler would exit with 15 and let the run fail."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from mlflow import MlflowClient

from showcases.tracking_db import database_uri

pytestmark = pytest.mark.ray

WAITING = """
    import threading
    import ray
    from jobs.runner import cluster
    from jobs.tracking import run_ends, tracker as tracking
    from jobs.runner.config import PipelineConfig
    run_ends.GRACE_SECONDS = 30.0  # a busy machine may need more than the usual seconds to make the run and end it
    config = PipelineConfig(root={root!r}, cluster=cluster.ClusterConfig(address={address!r}))
    with cluster.connected(config.cluster), tracking.step_run("train", config, {{}}, None):
        never = ray.remote(num_cpus=0)(lambda: threading.Event().wait()).remote()
        print("waiting", flush=True)
        ray.get(never)
"""


def test_its_run_is_closed_and_it_exits_with_143(ray_cluster: str, tmp_path: Path, repository: Path) -> None:
    code = textwrap.dedent(WAITING).format(root=str(tmp_path), address=ray_cluster)
    driver = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": f"{repository / 'platform'}:{repository}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout is not None
    assert any(line == "waiting\n" for line in driver.stdout)
    driver.send_signal(signal.SIGTERM)
    _, err = driver.communicate(timeout=120)
    assert driver.returncode == 128 + signal.SIGTERM, err
    client = MlflowClient(database_uri(str(tmp_path)))
    experiment = client.get_experiment_by_name("showcases")
    assert experiment is not None
    [run] = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.data.tags["error"]) == ("KILLED", "SIGTERM")
