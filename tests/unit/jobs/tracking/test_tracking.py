"""MLflow away, slow or failing: a run goes on all the same, and MLflow knows everything of it once in the end."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from mlflow import MlflowClient

from jobs import resend
from jobs.runner.config import PipelineConfig
from jobs.tracking import pending, spool
from jobs.tracking import tracker as tracking
from jobs.tracking.config import TrackingConfig
from jobs.tracking.spool import OPS, SPOOLS
from showcases.errors import ConfigError
from showcases.storage.artifacts import Manifest, Workspace
from tests import faulty_proxy as proxies
from tests.faulty_proxy import FaultyProxy
from tests.mlflow_server import two_runs
from tests.waiting import wait_until

AWAY = {"reset": 1.0}
LOSSES = [4.0 / (step + 1) for step in range(25)]


def train(config: PipelineConfig) -> tuple[int, bool] | None:
    """What a training step tells MLflow."""
    model = Path(config.root, "made")
    model.mkdir(parents=True)
    (model / "config.json").write_text('{"embedding_space": "tiny"}')
    with tracking.pipeline_run(config) as parent, tracking.step_run("train", config, {"lr": 0.1}, parent) as tracker:
        for step, loss in enumerate(LOSSES):
            tracker.log_metrics({"loss": loss, "f1@3": loss / 10}, step=step)
        tracker.log_manifest(Manifest("selector", "train", {}, {}, "0", "now", 1.5, {"models": 2}))
        tags = {"validation_data": "v", tracking.FINGERPRINT: f"of {config.tracking.experiment}"}
        asked = tracking.Registration(config.tracking.experiment, "loss", LOSSES[-1], False, tags)
        return tracking.register(tracker, model, asked)


def assert_all_arrived(config: PipelineConfig, upstream: str) -> None:
    """Once each, as MLflow itself says, asked past the proxy."""
    client, name = MlflowClient(upstream), config.tracking.experiment
    runs = two_runs(upstream, config.tracking.experiment)
    run, parent = runs["train"], runs["pipeline ws"]
    assert run.info.status == parent.info.status == "FINISHED"
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert run.data.params == {"lr": "0.1"} and run.data.metrics["seconds"] == 1.5
    for key, scale in (("loss", 1), ("f1_at_3", 10)):
        history = sorted(client.get_metric_history(run.info.run_id, key), key=lambda metric: metric.step)
        assert [(metric.step, metric.value * scale) for metric in history] == [
            (step, pytest.approx(loss)) for step, loss in enumerate(LOSSES)
        ]
    [version] = client.search_model_versions(f"name = '{name}'")
    assert client.get_registered_model(name).aliases == {"candidate": "1", "champion": "1"}
    assert version.run_id == run.info.run_id and version.tags["metric.loss"] == repr(LOSSES[-1])
    kept = [file.path for file in client.list_artifacts(run.info.run_id)]
    assert kept == ["manifests", "model"]
    assert not list(Path(config.root, SPOOLS).iterdir())


def test_through_a_failing_server_everything_arrives_once(
    config: PipelineConfig, proxy: FaultyProxy, upstream: str
) -> None:
    proxy.spoil({"500": 0.1, "503": 0.1, "reset": 0.1, "lost": 0.2})
    train(config)
    assert proxy.injected.total() >= 4, proxy.injected
    proxy.spoil({})
    assert pending.send_pending(Workspace(config.root))[1] == 0
    assert_all_arrived(config, upstream)


def test_with_the_server_away_the_run_goes_on_and_is_sent_later(
    config: PipelineConfig, proxy: FaultyProxy, upstream: str, capsys: pytest.CaptureFixture[str]
) -> None:
    proxy.spoil(AWAY)
    assert train(config) is None
    assert f"`python -m jobs.resend --root {config.root}`" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        resend.main(["--root", config.root])
    proxy.spoil({})
    for sent in (2, 0):
        resend.main(["--root", config.root])
        assert f"{sent} sent, 0 left" in capsys.readouterr().out
    assert_all_arrived(config, upstream)


def test_a_server_that_comes_back_during_the_run_gets_what_was_noted(
    config: PipelineConfig, proxy: FaultyProxy, upstream: str
) -> None:
    proxy.spoil(AWAY)
    with tracking.step_run("early", config, {}, None) as tracker:
        tracker.log_metrics({"loss": 1.0}, step=0)
        assert tracker.run_id.startswith("pending-")
        proxy.spoil({})
    run = MlflowClient(upstream).get_run(tracker.run_id)
    assert run.data.metrics == {"loss": 1.0} and run.info.status == "FINISHED"


def test_the_next_step_sends_what_an_earlier_one_could_not(
    config: PipelineConfig, proxy: FaultyProxy, upstream: str
) -> None:
    proxy.spoil(AWAY)
    train(config)
    proxy.spoil({})
    with tracking.step_run("next", config, {}, None) as tracker:
        pass
    MlflowClient(upstream).delete_run(tracker.run_id)
    assert_all_arrived(config, upstream)


def test_a_slow_server_holds_up_no_loop(config: PipelineConfig, proxy: FaultyProxy, upstream: str) -> None:
    with tracking.step_run("slow", config, {}, None) as tracker:
        proxy.spoil({"stall": 1.0})
        for step in range(300):
            tracker.log_metrics({"loss": float(step)}, step=step)
        assert proxy.requests.total() <= 2  # the loop ended while the first answers were still awaited
    assert len(MlflowClient(upstream).get_metric_history(tracker.run_id, "loss")) == 300
    assert proxy.requests.total() < 20  # many at once, not one by one


def kept_losses(config: PipelineConfig) -> list[float]:
    """What the spools in the workspace have noted."""
    files = Path(config.root, SPOOLS).glob(f"*/{OPS}")
    ops = [op for file in files for op in json.loads(file.read_text())["ops"]]
    return [op["value"] for op in ops if op.get("key") == "loss"]  # on a slow machine there are others


def test_what_a_killed_worker_had_noted_is_sent_by_the_next_step(
    config: PipelineConfig, proxy: FaultyProxy, upstream: str, repository: Path
) -> None:
    with tracking.step_run("train", config, {}, None) as tracker:
        proxy.spoil(AWAY)
        code = f"""
            from jobs.tracking import spool
            from jobs.tracking.tracker import Tracker
            spool.FIRST_PAUSE = 600.0
            tracker = Tracker({proxy.endpoint!r}, {tracker.run_id!r}, {config.root!r})
            for step in range(5):
                tracker.log_metrics({{"loss": float(step)}}, step)
                tracker.spool.drain(60)  # up to the first attempt, which fails, and there is none after it
            print("noted", flush=True)
            input()
        """
        worker = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code)],
            cwd=repository,
            env={**os.environ, "PYTHONPATH": f"{repository / 'platform'}:{repository}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert worker.stdout is not None
        assert any(line == "noted\n" for line in worker.stdout)
        wait_until(lambda: kept_losses(config) == [0.0, 1.0, 2.0, 3.0, 4.0])
        assert pending.pending_spools(Workspace(config.root)) == []  # it is at work on it
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
        proxy.spoil({})
    assert pending.send_pending(Workspace(config.root)) == (1, 0)
    history = MlflowClient(upstream).get_metric_history(tracker.run_id, "loss")
    assert sorted(metric.value for metric in history) == [0.0, 1.0, 2.0, 3.0, 4.0]


def test_what_a_hanging_server_has_not_taken_is_kept_meanwhile(
    config: PipelineConfig, proxy: FaultyProxy, upstream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxies, "STALL_SECONDS", 8.0)
    with tracking.step_run("train", config, {}, None) as tracker:
        assert tracker.spool.drain(60)
        proxy.spoil({"stall": 1.0}, limit=1)
        for step in range(2):
            tracker.log_metrics({"loss": float(step)}, step)
            wait_until(lambda step=step: kept_losses(config) == [float(each) for each in range(step + 1)], 7)
        assert tracker.spool.failure is None  # the first request still waits for its answer
    assert len(MlflowClient(upstream).get_metric_history(tracker.run_id, "loss")) == 2
    assert not list(Path(config.root, SPOOLS).iterdir())


def test_what_mlflow_refuses_is_said_and_the_rest_arrives(
    config: PipelineConfig, upstream: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with tracking.step_run("train", config, {}, None) as tracker:
        tracker.log_metrics({"no\nsuch name": 1.0, "loss": 2.0})
    assert MlflowClient(upstream).get_run(tracker.run_id).data.metrics == {"loss": 2.0}
    assert "MLflow rejects metric no\nsuch name" in capsys.readouterr().out


def test_a_failed_run_says_why(config: PipelineConfig, upstream: str) -> None:
    with pytest.raises(ZeroDivisionError), tracking.step_run("train", config, {}, None) as tracker:
        raise ZeroDivisionError("one over none")
    run = MlflowClient(upstream).get_run(tracker.run_id)
    assert (run.info.status, run.data.tags["error"]) == ("FAILED", "one over none")


def test_a_wrong_uri_is_refused_before_any_work(tmp_path: Path) -> None:
    config = PipelineConfig(root=str(tmp_path), tracking=TrackingConfig("nosuch://server"))
    with pytest.raises(ConfigError, match="--tracking.uri nosuch://server"), tracking.pipeline_run(config):
        raise AssertionError("not reached")
    assert not list(tmp_path.rglob("*.json"))


def test_beyond_its_bound_metrics_are_dropped_and_counted(
    config: PipelineConfig, proxy: FaultyProxy, upstream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tracking.step_run("train", config, {}, None) as tracker:
        assert tracker.spool.drain(60)
        proxy.spoil(AWAY)
        monkeypatch.setattr(spool, "MAX_OPS", 10)
        for step in range(25):
            tracker.log_metrics({"loss": float(step)}, step)
        proxy.spoil({})
    run = MlflowClient(upstream).get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    dropped = int(json.loads(run.data.tags["showcases.metrics_dropped"]))
    assert dropped + len(MlflowClient(upstream).get_metric_history(tracker.run_id, "loss")) == 25
    assert dropped == 15
