"""Runs of a process that is ended from outside: closed by itself on SIGTERM, by the next run where it was killed."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from jobs.runner.config import PipelineConfig
from jobs.tracking import run_ends
from jobs.tracking import tracker as tracking
from jobs.tracking.config import TrackingConfig, tracking_uri

pytestmark = pytest.mark.server

AT_WORK = """
    import threading, sys
    from jobs.tracking import run_ends
    from jobs.tracking import tracker as tracking
    from jobs.runner.config import PipelineConfig
    from jobs.tracking.config import TrackingConfig
    from tuning.runs import TrialRuns, sweep_run
    run_ends.GRACE_SECONDS = {grace!r}
    config = PipelineConfig(root={root!r}, tracking=TrackingConfig({uri!r}, {experiment!r}))
    with tracking.pipeline_run(config) as parent, tracking.step_run("train", config, {{}}, parent):
        with sweep_run(config, "sweep", {{}}, None) as sweep:
            trial = TrialRuns(config, sweep.run_id, "sweep").begin("abc_00001", 1)
            trial.log_metrics({{"loss": 2.0}}, step=1)
            trial.spool.drain(60)
            print("at work", flush=True)
            threading.Event().wait()
"""
NAMES = ["pipeline ws", "sweep", "sweep/trial-01", "train"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A workspace for all tests: its database takes seconds to make. Each has an experiment of its own."""
    return str(tmp_path_factory.mktemp("run-ends") / "ws")


@pytest.fixture
def config(root: str, tmp_path: Path) -> PipelineConfig:
    return PipelineConfig(root=root, tracking=TrackingConfig(None, tmp_path.name))


@pytest.fixture
def at_work(config: PipelineConfig, repository: Path) -> Iterator["subprocess.Popen[str]"]:
    process = start(config, repository, grace=30.0)  # a busy machine may need more than the usual seconds
    yield process
    process.kill()
    process.communicate()


def start(config: PipelineConfig, repository: Path, grace: float = run_ends.GRACE_SECONDS) -> "subprocess.Popen[str]":
    """A driver in the middle of a sweep's trial; `grace` is its time for MLflow after SIGTERM, s."""
    named = {"root": config.root, "uri": config.tracking.uri, "experiment": config.tracking.experiment, "grace": grace}
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(AT_WORK).format(**named)],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": f"{repository / 'platform'}:{repository}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert any(line == "at work\n" for line in process.stdout)
    return process


def runs_of(config: PipelineConfig) -> dict[str, Any]:
    client = MlflowClient(tracking_uri(config))
    experiment = client.get_experiment_by_name(config.tracking.experiment)
    assert experiment is not None
    return {str(run.info.run_name): run for run in client.search_runs([experiment.experiment_id])}


def statuses(config: PipelineConfig) -> dict[str, str]:
    return {name: run.info.status for name, run in sorted(runs_of(config).items())}


def test_sigterm_closes_the_runs_and_exits_with_143(config: PipelineConfig, at_work: "subprocess.Popen[str]") -> None:
    asked = time.time()
    at_work.send_signal(signal.SIGTERM)
    out, err = at_work.communicate(timeout=60)
    assert at_work.returncode == 128 + signal.SIGTERM, err
    last = err.splitlines()[-1]
    assert last == "SIGTERM: stopping; run the same command again to resume"
    assert statuses(config) == dict.fromkeys(NAMES, "KILLED")
    runs = runs_of(config)
    assert all(0 <= run.info.end_time / 1000 - asked < 40 for run in runs.values())
    assert runs["train"].data.tags["error"] == "SIGTERM" and runs["sweep/trial-01"].data.metrics == {"loss": 2.0}
    assert "waits in" not in out


def test_sigterm_while_mlflow_is_away_ends_within_the_grace(root: str, free_ports: list[int], repository: Path) -> None:
    away = TrackingConfig(f"http://127.0.0.1:{free_ports[0]}", "away")
    process = start(PipelineConfig(root=f"{root}-away", tracking=away), repository)
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143 and time.monotonic() - asked < 30
    noted = [file.read_text() for file in Path(f"{root}-away").glob("_tracking/*/ops.json")]
    assert sum('"status": "KILLED"' in each for each in noted) == 4  # they are sent by the next step


def test_the_next_run_closes_those_of_a_killed_process_and_no_others(
    config: PipelineConfig, at_work: "subprocess.Popen[str]", capsys: pytest.CaptureFixture[str]
) -> None:
    with tracking.step_run("meanwhile", config, {}, None):
        assert statuses(config) == dict.fromkeys([*NAMES, "meanwhile"], "RUNNING")
    assert "closed as KILLED" not in capsys.readouterr().out
    at_work.send_signal(signal.SIGKILL)
    at_work.communicate()
    assert statuses(config) == dict.fromkeys(NAMES, "RUNNING") | {"meanwhile": "FINISHED"}
    elsewhere = PipelineConfig(root=f"{config.root}-other", tracking=TrackingConfig(tracking_uri(config)))
    with tracking.step_run("of another workspace", elsewhere, {}, None):
        pass
    assert statuses(config)["train"] == "RUNNING"
    with tracking.step_run("next", config, {}, None):
        assert statuses(config) == dict.fromkeys(NAMES, "KILLED") | {"meanwhile": "FINISHED", "next": "RUNNING"}
    said = capsys.readouterr().out
    assert "closed as KILLED, since their process is dead: " in said and all(name in said for name in NAMES)


def test_a_sweep_that_is_resumed_keeps_its_run(config: PipelineConfig, at_work: "subprocess.Popen[str]") -> None:
    from tuning.runs import TrialRuns, sweep_run

    at_work.send_signal(signal.SIGKILL)
    at_work.communicate()
    before = runs_of(config)["sweep"].info.run_id
    with sweep_run(config, "sweep", {}, before) as sweep:
        assert sweep.run_id == before
        assert statuses(config) == {
            "pipeline ws": "KILLED",
            "sweep": "RUNNING",
            "sweep/trial-01": "KILLED",
            "train": "KILLED",
        }
        trial = TrialRuns(config, before, "sweep").begin("abc_00001", 1)
        assert trial.spool.drain(60)
        runs = runs_of(config)
        assert runs["sweep/trial-01"].info.status == "RUNNING" and len(runs) == len(NAMES)
        assert {json.loads(runs[name].data.tags[run_ends.PROCESS_TAG])["pid"] for name in NAMES[1:3]} == {os.getpid()}
        assert run_ends.end(trial.spool, "FINISHED", 60)
    assert statuses(config)["sweep"] == statuses(config)["sweep/trial-01"] == "FINISHED"


def test_a_process_on_another_machine_is_gone_after_its_last_heartbeat(config: PipelineConfig) -> None:
    """Two drivers elsewhere, of which one has said nothing for long; one that had no time for a heartbeat."""
    client = MlflowClient(tracking_uri(config))
    now = int(time.time() * 1000)
    long_ago = now - int(1000 * run_ends.LOST_SECONDS) - 60_000
    with tracking.step_run("first", config, {}, None):
        pass  # makes the experiment
    experiment = client.get_experiment_by_name(config.tracking.experiment)
    assert experiment is not None
    for host, beat, started in (("a", now, long_ago), ("b", long_ago + 30_000, long_ago), ("c", None, now)):
        process = json.dumps({"host": host, "machine": "m", "pid": os.getpid(), "started": 0.0})
        tags = {run_ends.PROCESS_TAG: process, run_ends.WORKSPACE_TAG: config.root}
        for name in ("pipeline", "step"):
            run = client.create_run(experiment.experiment_id, started, tags, f"{name} on {host}")
        if beat is not None:  # the last of many
            client.log_metric(run.info.run_id, run_ends.HEARTBEAT, 1.0, long_ago, 0)
            client.log_metric(run.info.run_id, run_ends.HEARTBEAT, 1.0, beat, 1)
    with tracking.step_run("next", config, {}, None):
        found = statuses(config)
    assert [found[f"step on {host}"] for host in "abc"] == ["RUNNING", "KILLED", "RUNNING"]
    with tracking.step_run("step on a", config, {}, None, is_claimed=True) as mine:  # it can't be at work on that
        assert MlflowClient(tracking_uri(config)).get_run(mine.run_id).info.status == "RUNNING"
        by_name = client.search_runs([experiment.experiment_id], "attributes.run_name = 'step on a'")
        assert sorted(run.info.status for run in by_name) == ["KILLED", "RUNNING"]
        assert statuses(config)["step on c"] == "RUNNING"
    assert [found[f"pipeline on {host}"] for host in "abc"] == ["RUNNING", "KILLED", "RUNNING"]


def test_processes_are_told_apart() -> None:
    me = json.loads(run_ends.this_process())
    assert run_ends.is_gone(json.dumps(me)) is False
    assert run_ends.is_gone(json.dumps(me | {"started": me["started"] - 3600})) is True  # its pid was given again
    assert run_ends.is_gone(json.dumps(me | {"machine": "another"})) is None
    ended = subprocess.Popen([sys.executable, "-c", ""])
    assert os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert run_ends.is_gone(json.dumps(me | {"pid": ended.pid, "started": time.time()})) is True  # a zombie
    ended.wait()


def test_ctrl_c_that_ray_train_turns_into_exit_code_0_is_an_interrupt(config: PipelineConfig) -> None:
    with pytest.raises(KeyboardInterrupt), tracking.step_run("train", config, {}, None):
        raise SystemExit(0)
    assert statuses(config) == {"train": "KILLED"}
