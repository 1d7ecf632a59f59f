"""MLflow away during a sweep: its trials go on, and their runs are found in MLflow afterwards."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow import MlflowClient

from jobs.runner.config import PipelineConfig
from jobs.tracking import tracker as tracking
from jobs.tracking.spool import SPOOLS
from tests.faulty_proxy import FaultyProxy
from tests.mlflow_server import two_runs
from tuning.kinds import GENERATOR_KIND, plan
from tuning.options import SweepConfig
from tuning.progress import Progress
from tuning.runs import STOPPED_TAG, TrialRuns, sweep_run
from tuning.trial import POINT

AWAY = {"reset": 1.0}


def test_trials_of_a_sweep_go_on_and_are_sent_in_the_end(
    config: PipelineConfig, proxy: FaultyProxy, upstream: str
) -> None:
    proxy.spoil(AWAY)
    settled = plan(GENERATOR_KIND, config, SweepConfig(trials=2, epochs=3))
    last = {"epoch": 2.0, settled.goal.score: 1.5}
    trial = SimpleNamespace(trial_id="abc_00001", config={POINT: {"tau": 0.2}}, last_result=last)
    with sweep_run(config, "sweep", {}, None) as parent:
        runs = TrialRuns(config, parent.run_id, "sweep")
        told = Progress(settled, runs)
        told.on_trial_start(0, [], trial)
        worker = tracking.Tracker(proxy.endpoint, runs.id_of(trial.trial_id), config.root)  # another process in truth
        worker.log_metrics({"loss": 1.5}, step=2)
        assert not worker.spool.close(20)
        told.on_trial_complete(0, [], trial)
        proxy.spoil({})
    client = MlflowClient(upstream)
    found = two_runs(upstream, config.tracking.experiment)
    run = found["sweep/trial-01"]
    assert run.data.tags["mlflow.parentRunId"] == found["sweep"].info.run_id
    assert run.data.params == {"tau": "0.2"} and run.data.metrics == {"loss": 1.5}
    assert run.info.status == "FINISHED" and run.data.tags[STOPPED_TAG] == "true"
    with sweep_run(config, "sweep", {}, parent.run_id) as again:
        assert client.get_run(again.run_id).info.status == "RUNNING" and again.run_id == parent.run_id
    assert not list(Path(config.root, SPOOLS).iterdir())


def test_a_sweep_begun_without_mlflow_goes_on_with_the_same_runs(
    config: PipelineConfig, proxy: FaultyProxy, upstream: str
) -> None:
    """`sweep.json` keeps an id then that MLflow has never given; who goes on with the sweep finds its runs by it."""
    proxy.spoil(AWAY)
    with pytest.raises(KeyboardInterrupt), sweep_run(config, "sweep", {}, None) as parent:
        begun = parent.run_id
        trial = TrialRuns(config, begun, "sweep").begin("abc_00001", 1)
        trial.log_metrics({"loss": 2.0}, step=1)
        assert not trial.spool.close(5)  # as if its process had ended: what it noted waits
        raise KeyboardInterrupt
    proxy.spoil({})
    with sweep_run(config, "sweep", {}, begun) as parent:
        trial = TrialRuns(config, begun, "sweep").begin("abc_00001", 1)
        trial.log_metrics({"loss": 1.5}, step=2)
        assert trial.spool.close(20)
    client = MlflowClient(upstream)
    runs = two_runs(upstream, config.tracking.experiment)
    assert parent.run_id == runs["sweep"].info.run_id
    history = client.get_metric_history(runs["sweep/trial-01"].info.run_id, "loss")
    assert sorted((metric.step, metric.value) for metric in history) == [(1, 2.0), (2, 1.5)]
    assert runs["sweep"].info.status == "FINISHED" and begun != parent.run_id
