"""Sweeps on a small synthetic workspace: real Ray Train runs, real MLflow runs, a usable YAML; killed and continued."""

import csv
import io
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import ray
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from ray import tune

from jobs.runner.config import parse
from showcases.errors import ArtifactError
from showcases.generator import Generator
from showcases.storage.artifacts import ARTIFACTS, Workspace
from showcases.tracking_db import database_uri
from tests.artifacts import embedding_table, put
from tests.waiting import wait_until
from tuning.kinds import GENERATOR_KIND
from tuning.options import SweepConfig
from tuning.runs import trial_name
from tuning.sweep import sweep
from tuning.sweep_generator import main
from tuning.trial import TrialSettings, number_of

pytestmark = pytest.mark.ray

DISHES = ("ramen", "pizza", "cake", "salad")
PAPER_POINT = {"lambda_image": 0.2, "lambda_text": 0.2, "alpha": math.e, "tau": 0.1}
TINY_MODEL = {"vocab_size": 300, "n_layer": 1, "n_head": 2, "n_embd": 16, "mma_layers": 1, "mma_heads": 2}


def write_embeddings(workspace: Workspace, artifact: str, ids: list[str], dishes: list[int]) -> None:
    noise = np.random.default_rng(len(artifact)).normal(scale=0.2, size=(len(ids), 8))
    vectors = np.eye(8)[dishes] + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    put(workspace, artifact, embedding_table(ids, vectors, "synthetic"), step=ARTIFACTS[artifact].step)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Twelve users with two reviews each; a review shows one dish and speaks of it."""
    workspace = Workspace(str(tmp_path / "a?b #c %20 ü"))  # what means something in a URI is nothing but a name here
    rows = []
    for number in range(24):
        user, dish = number // 2, DISHES[number % 4]
        other = number + 1 if number % 2 == 0 else number - 1
        rows.append(
            {
                "review_id": f"u{user}_b{number}",
                "user_id": f"u{user}",
                "business_id": f"b{number}",
                "explanation": f"the {dish} here was really good",
                "photo_ids": [f"p{number}"],
                "history_review_ids": [f"u{user}_b{other}"],
                "split": ("train", "train", "val")[user % 3],
            }
        )
    put(workspace, "gest_s2", pa.Table.from_pylist(rows, ARTIFACTS["gest_s2"].schema), step=ARTIFACTS["gest_s2"].step)
    dishes = [number % 4 for number in range(24)]
    write_embeddings(workspace, "image_embeddings", [f"p{number}" for number in range(24)], dishes)
    write_embeddings(workspace, "sentence_embeddings", [f"{row['review_id']}:0" for row in rows], dishes)
    return workspace


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"train_generator": {"model": TINY_MODEL, "loop": {"batch_size": 8}}}))
    return file


def sweep_table(workspace: Workspace, name: str) -> list[dict[str, str]]:
    text = workspace.read_bytes("_sweeps", "generator", name, "trials.csv").decode()
    return list(csv.DictReader(io.StringIO(text)))


def runs_of(workspace: Workspace, name: str) -> tuple[MlflowClient, Run, dict[str, Run]]:
    """The sweep's run of this name of sweep, and its trials' by name."""
    client = MlflowClient(database_uri(workspace.root))
    experiment = client.get_experiment_by_name("showcases")
    runs = client.search_runs([experiment.experiment_id])
    [parent] = [run for run in runs if run.data.params.get("name") == name]
    below = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    return client, parent, {run.info.run_name: run for run in below}


@pytest.mark.timeout(420)
def test_trials_end_and_the_best_is_a_config(
    ray_cluster: str, workspace: Workspace, config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    common = ["--config", str(config_file), "--root", workspace.root]
    main([*common, "--trials", "2", "--epochs", "2", "--register", "true", "--out", str(out)])

    table = sweep_table(workspace, "default")
    points = [{name: float(row[name]) for name in PAPER_POINT} for row in table]
    figures = [float(row["best_val_nats_per_word"]) for row in table]
    assert PAPER_POINT in points and points[0] != points[1]
    assert figures == sorted(figures) and all(0 < figure < 50 for figure in figures)
    assert (out / "report.html").is_file() and (out / "parallel.png").read_bytes()[:4] == b"\x89PNG"

    taken = parse([*common, "--config", str(out / "best.yaml")], "test").train_generator
    assert {name: getattr(taken.contrastive, name) for name in PAPER_POINT} == points[0]
    assert taken.model.n_embd == TINY_MODEL["n_embd"]
    printed = capsys.readouterr().out
    assert f"{figures[0]:.4f}" in printed and str(out) in printed

    client, parent, runs = runs_of(workspace, "default")
    assert set(runs) == {"sweep-generator/paper", "sweep-generator/trial-01"}
    for run in runs.values():
        assert run.info.status == parent.info.status == "FINISHED"
        assert float(run.data.params["tau"]) in [point["tau"] for point in points]
        assert len(client.get_metric_history(run.info.run_id, "val_nats_per_word")) == 2  # one an epoch
    assert parent.data.metrics["best_val_nats_per_word"] == pytest.approx(figures[0])
    candidate = client.get_model_version_by_alias("showcases-generator", "candidate")
    assert candidate.run_id == parent.info.run_id
    assert "champion" not in client.get_registered_model("showcases-generator").aliases
    assert {"report.html", "best.yaml"} <= {
        Path(file.path).name for file in client.list_artifacts(parent.info.run_id, "sweep")
    }
    kept = Generator.from_pretrained(workspace.download("_sweeps", tmp_path / "model", "generator", "default", "model"))
    assert kept.config.n_embd == TINY_MODEL["n_embd"]
    assert not list((Path(workspace.root) / "_runs").iterdir())  # checkpoints of trials are not kept
    with pytest.raises(SystemExit):
        main([*common, "--trials", "2", "--epochs", "2"])
    assert "--resume true" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(580)
def test_a_population_hands_on_weights(ray_cluster: str, workspace: Workspace, config_file: Path) -> None:
    """More trials than fit side by side; all places in the cluster come free again."""
    options = ["--scheduler", "pbt", "--trials", "3", "--epochs", "3", "--max_concurrent", "1", "--name", "pbt"]
    main(["--config", str(config_file), "--root", workspace.root, *options])
    table = sweep_table(workspace, "pbt")
    assert sorted(row["trial"] for row in table) == ["paper", "trial-01", "trial-02"]
    assert [row["epochs"] for row in table] == ["3", "3", "3"]
    client, _, runs = runs_of(workspace, "pbt")
    moved = [
        len({metric.value for metric in client.get_metric_history(run.info.run_id, "option.tau")}) > 1
        for run in runs.values()
    ]
    assert any(moved)
    groups = ray.util.placement_group_table().values()
    assert all(group["state"] == "REMOVED" for group in groups)


@pytest.mark.slow
@pytest.mark.timeout(580)
def test_a_killed_sweep_goes_on(repository: Path, workspace: Workspace, config_file: Path, tmp_path: Path) -> None:
    """SIGKILL of the driver once two trials have finished: neither is trained again, and the rest is done."""
    command = [sys.executable, "-m", "tuning.sweep_generator", "--config", str(config_file), "--root", workspace.root]
    command += ["--trials", "5", "--epochs", "3", "--scheduler", "asha", "--max_concurrent", "1", "--resume", "true"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(repository / "platform"), str(repository)))}
    log = tmp_path / "log"
    with log.open("wb") as output:
        killed = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
        wait_until(lambda: killed.poll() is not None or log.read_text().count(" at lambda_image") >= 2, 500)
        assert killed.poll() is None, log.read_text()
        killed.send_signal(signal.SIGKILL)
        killed.wait()
    _, _, before = runs_of(workspace, "default")
    finished = {name: run for name, run in before.items() if run.info.status == "FINISHED"}
    assert len(finished) == 2
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(sweep_table(workspace, "default")) == 5
    _, parent, after = runs_of(workspace, "default")
    assert parent.info.status == "FINISHED" and len(after) == 5
    for name, run in finished.items():
        assert after[name].info.run_id == run.info.run_id and after[name].info.end_time == run.info.end_time


def untrained(second_may_end: Path, ran: Path) -> type[tune.Trainable]:
    """A trial that only reports, two epochs; the second goes on until it may end. Each start is written to `ran`."""

    class Untrained(tune.Trainable):
        def setup(self, config: dict[str, Any], settings: TrialSettings) -> None:  # type: ignore[override]
            self.name = trial_name(number_of(self.trial_id, config))
            with ran.open("a") as file:
                file.write(f"{self.name}\n")

        def step(self) -> dict[str, Any]:
            held = self.name == "trial-01" and not second_may_end.exists()
            time.sleep(0.2 if held else 0)  # Ray Tune waits ten seconds for a step that doesn't return
            epoch = self.iteration + 1
            figures = {"val_nats_per_word": 2.0, "best_val_nats_per_word": 2.0}
            return {**figures, "epoch": epoch, "done": epoch >= 2 and not held}

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            (Path(checkpoint_dir) / "model").mkdir()

        def load_checkpoint(self, checkpoint: Any) -> None: ...

    return Untrained


@pytest.mark.parametrize(
    ("algorithm", "sent"),
    [
        ("grid", signal.SIGINT),
        pytest.param("grid", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("random", signal.SIGUSR1, marks=pytest.mark.slow),  # Ray Tune ends on this one too
        pytest.param("tpe", signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_an_interrupted_sweep_is_not_taken_for_a_finished_one(
    ray_cluster: str,
    workspace: Workspace,
    config_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    algorithm: str,
    sent: signal.Signals,
) -> None:
    may_end, ran = tmp_path / "may end", tmp_path / "ran"
    monkeypatch.setattr("tuning.sweep.Trial", untrained(may_end, ran))
    options = ["--config", str(config_file), "--root", workspace.root, "--max_concurrent", "1", "--resume", "true"]
    options += ["--search_algorithm", algorithm, "--search", "{mma_layers: [1, 2]}", "--trials", "3", "--epochs", "2"]

    def interrupt() -> None:
        wait_until(lambda: ran.exists() and "trial-01" in ran.read_text(), 300)
        os.kill(os.getpid(), sent)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(SystemExit) as stopped:
        main(options)
    thread.join()
    assert stopped.value.code == (143 if sent == signal.SIGTERM else 130)
    said = "run the same command again to resume" if sent == signal.SIGTERM else "(2 of 3 trials were still to end)"
    assert said in capfd.readouterr().err
    _, parent, trials = runs_of(workspace, "default")
    statuses = {name.rpartition("/")[2]: run.info.status for name, run in trials.items()}
    assert statuses == {"paper": "FINISHED", "trial-01": "KILLED"} and parent.info.status == "KILLED"
    assert not list((Path(workspace.root) / "_sweeps").rglob("outcomes.json"))

    may_end.touch()
    main(options)
    assert len(sweep_table(workspace, "default")) == 3
    assert ran.read_text().split() == ["paper", "trial-01", "trial-01", "trial-02"]
    main(options)  # it has come to its end: nothing is left to run
    assert len(ran.read_text().split()) == 4


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_an_interrupted_training_goes_on(
    repository: Path, workspace: Workspace, config_file: Path, tmp_path: Path
) -> None:
    """Ctrl-C in a terminal, which all processes of its group get, within a grid's second training."""
    command = [sys.executable, "-m", "tuning.sweep_generator", "--config", str(config_file), "--root", workspace.root]
    command += ["--search_algorithm", "grid", "--search", "{mma_layers: [1, 2]}", "--epochs", "2"]
    command += ["--scheduler", "none", "--max_concurrent", "1", "--resume", "true"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(repository / "platform"), str(repository)))}
    log = tmp_path / "log"
    with log.open("wb") as output:
        begun = subprocess.Popen(
            command, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        wait_until(lambda: begun.poll() is not None or "  paper: " in log.read_text(), 300)
        wait_until(lambda: begun.poll() is not None or len(runs_of(workspace, "default")[2]) == 2, 60)
        assert begun.poll() is None, log.read_text()
        os.killpg(begun.pid, signal.SIGINT)
        assert begun.wait(timeout=60) == 130, log.read_text()
    assert "interrupted (2 of 3 trials were still to end)" in log.read_text()
    assert not list((Path(workspace.root) / "_sweeps").rglob("outcomes.json"))
    _, parent, before = runs_of(workspace, "default")
    statuses = {name: run.info.status for name, run in before.items()}
    assert statuses == {"sweep-generator/paper": "FINISHED", "sweep-generator/trial-01": "KILLED"}
    assert parent.info.status == "KILLED"

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {row["mma_layers"] for row in sweep_table(workspace, "default")} == {"1", "2", "3"}  # 3: the paper's
    _, parent, after = runs_of(workspace, "default")
    assert {run.info.status for run in (parent, *after.values())} == {"FINISHED"} and len(after) == 3
    paper = "sweep-generator/paper"
    assert after[paper].info.end_time == before[paper].info.end_time  # it was not trained again


def test_says_which_step_is_missing(tmp_path: Path) -> None:
    config = parse(["--root", str(tmp_path / "empty")], "test")
    with pytest.raises(ArtifactError, match=r"jobs\.build_gest"):
        sweep(GENERATOR_KIND, config, SweepConfig(trials=1))
