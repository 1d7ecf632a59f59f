"""Real servers behind tracking: PostgreSQL, artifacts on S3, an MLflow that is killed in the middle, a served model."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from jobs import lineage
from jobs.runner.config import PipelineConfig
from jobs.tracking import mlmodel
from jobs.tracking import tracker as tracking
from jobs.tracking.config import TrackingConfig
from jobs.tracking.run_facts import datasets
from jobs.tracking.spool import SPOOLS
from showcases.generator import Generator, GeneratorConfig, GeneratorPredictor
from showcases.generator.tokenizer import learn_tokenizer
from showcases.pyfunc import example
from showcases.selector import Selector, SelectorConfig, SelectorPredictor
from showcases.storage.artifacts import Manifest, Workspace
from tests.mlflow_server import mlflow_server
from tests.postgres import postgres

pytestmark = pytest.mark.server

DIM = 8


def save_models(folder: Path) -> dict[str, Path]:
    """A selector and a generator with random weights, as they are registered."""
    small = GeneratorConfig(n_layer=1, n_head=2, n_embd=32, mma_layers=1, mma_heads=2, max_tokens=8)
    Selector(SelectorConfig(hidden_dims=(8,), out_dim=8), "img+text", DIM, DIM, "tiny").save_pretrained(folder / "s")
    tokenizer = learn_tokenizer(["Fine soup.", "Good rice."], 300)
    Generator(small, tokenizer, DIM, DIM, "img+text", "tiny").save_pretrained(folder / "g")
    for name in "sg":
        mlmodel.describe(folder / name)
    return {"showcases-selector": folder / "s", "showcases-generator": folder / "g"}


def test_a_described_model_is_one_to_mlflow(tmp_path: Path) -> None:
    import mlflow

    for folder, predictor in zip(save_models(tmp_path).values(), (SelectorPredictor, GeneratorPredictor), strict=True):
        loaded = mlflow.pyfunc.load_model(str(folder))
        batch = example(folder, rows=2)
        found, wanted = loaded.predict(batch), predictor(folder)(batch)  # type: ignore[operator]
        assert {name: np.array(part).tolist() for name, part in found.items()} == {
            name: part.tolist() for name, part in wanted.items()
        }
        with pytest.raises(mlflow.exceptions.MlflowException, match="n_images"):  # the signature is held to
            loaded.predict({name: part for name, part in batch.items() if name != "n_images"})
        assert set(loaded.input_example) == set(batch)


@pytest.mark.slow
def test_mlflow_serves_the_models(tmp_path: Path, free_ports: list[int], repository: Path) -> None:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))  # MLflow starts `uvicorn` by name
    for (name, folder), port in zip(save_models(tmp_path).items(), free_ports, strict=False):
        options = ("-m", str(folder), "-p", str(port), "--env-manager", "local")
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "models", "serve", *options],
            env={**os.environ, "PYTHONPATH": str(repository / "platform"), "PATH": path},
            cwd=tmp_path,
        )
        try:
            answer = invoked(port, (folder / "serving_input_example.json").read_bytes(), process)
        finally:
            process.terminate()
            process.wait(timeout=30)
        predictor = {"showcases-selector": SelectorPredictor, "showcases-generator": GeneratorPredictor}[name]
        wanted = predictor(folder)(example(folder))
        for column, values in wanted.items():
            if values.dtype == object:
                assert answer[column] == values.tolist()
            else:
                np.testing.assert_allclose(answer[column], values, rtol=1e-5)


def invoked(port: int, body: bytes, process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(urllib.error.URLError, ConnectionError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5)
            break
        time.sleep(0.2)
    request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        told = json.loads(response.read())
    return dict(told.get("predictions", told))


@pytest.mark.slow
def test_on_postgresql_and_s3_a_killed_server_loses_nothing(
    short_folder: Path, tmp_path: Path, s3_server: Any, free_ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket = s3_server.create_bucket("tracking")
    monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", s3_server.endpoint)
    workspace = Workspace(str(tmp_path / "ws"))
    for name, inputs in (("reviews", {}), ("gest_s1", {"reviews": "r" * 64})):
        workspace.finish(Manifest(name, "test", {}, inputs, "0", "2026-01-01T00:00:00+00:00", 0.0, {"rows": 7}))
    read = {"gest_s1": workspace.require("gest_s1").digest}
    model = save_models(tmp_path)["showcases-selector"]
    with postgres(short_folder, free_ports[0]) as store:
        served = {"folder": tmp_path, "port": free_ports[1], "store": store, "artifacts": f"s3://{bucket}/mlflow"}
        uri = f"http://127.0.0.1:{free_ports[1]}"
        config = PipelineConfig(root=workspace.root, tracking=TrackingConfig(uri))
        first = mlflow_server(**served)
        first.__enter__()
        with (
            tracking.pipeline_run(config) as parent,
            tracking.step_run("train_selector", config, {"lr": 0.1}, parent) as tracker,
        ):
            tracker.log_inputs(datasets(workspace, read))
            tracker.log_metrics({"loss": 2.0}, step=0)
            assert tracker.spool.drain(60)
            first.__exit__(None, None, None)  # killed
            for step in range(1, 20):
                tracker.log_metrics({"loss": 2.0 / step}, step=step)
            tags = {"validation_data": "v", tracking.FINGERPRINT: "f"}
            asked = tracking.Registration("showcases-selector", "loss", 0.1, False, tags)
            made = tracking.register(tracker, model, asked)
            assert made is None
        with mlflow_server(**served):
            with tracking.step_run("evaluate", config, {}, None):
                pass  # it sends what is left
            client = MlflowClient(uri)
            run = client.get_run(tracker.run_id)
            assert run.info.status == "FINISHED" and run.info.artifact_uri.startswith("mlflow-artifacts:")
            history = client.get_metric_history(tracker.run_id, "loss")
            assert sorted(metric.step for metric in history) == list(range(20))
            version = client.get_model_version_by_alias("showcases-selector", "champion")
            assert version.run_id == tracker.run_id
            assert not list(Path(workspace.root, SPOOLS).iterdir())
            lineage_main(workspace, uri)
        # without a server between: jobs that reach the database themselves
        direct = PipelineConfig(root=workspace.root, tracking=TrackingConfig(store, "direct"))
        with tracking.step_run("ingest", direct, {}, None) as tracker:
            tracker.log_metrics({"rows": 7})
        assert MlflowClient(store).get_run(tracker.run_id).data.metrics == {"rows": 7}
    assert kept_on_s3(s3_server, bucket) >= {"config.json", "model.safetensors", "MLmodel"}


def lineage_main(workspace: Workspace, uri: str) -> None:
    found = lineage.of_model(MlflowClient(uri), workspace, lineage.Pinned("showcases-selector", "1"))
    assert found["data"]["gest_s1"]["sha256"] == workspace.require("gest_s1").digest
    assert found["data"]["gest_s1"]["from"]["reviews"] == {"sha256": "r" * 64, "state": lineage.CHANGED}


def kept_on_s3(s3_server: Any, bucket: str) -> set[str]:
    import boto3

    listed = boto3.client("s3", endpoint_url=s3_server.endpoint).list_objects_v2(Bucket=bucket)
    return {entry["Key"].rpartition("/")[2] for entry in listed["Contents"]}
