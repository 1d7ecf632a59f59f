"""Two trials of the sweep on a small synthetic workspace: real Ray Train runs, real MLflow runs, a usable YAML."""

import csv
import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from mlflow import MlflowClient

from jobs.config import parse
from showcases.artifacts import ARTIFACTS, Manifest, Workspace
from showcases.errors import ArtifactError
from showcases.schemas import embeddings_schema
from tuning.spaces import PAPER_POINT
from tuning.sweep_generator import SweepConfig, main, sweep

pytestmark = pytest.mark.ray

DISHES = ("ramen", "pizza", "cake", "salad")
TINY_MODEL = {"vocab_size": 300, "n_layer": 1, "n_head": 2, "n_embd": 16, "mma_layers": 1, "mma_heads": 2}


def finish(workspace: Workspace, artifact: str) -> None:
    step = ARTIFACTS[artifact].step
    workspace.finish(Manifest(artifact, step, {}, {}, "0", "2026-01-01T00:00:00+00:00", 0.0))


def write_embeddings(workspace: Workspace, artifact: str, ids: list[str], dishes: list[int]) -> None:
    noise = np.random.default_rng(len(artifact)).normal(scale=0.2, size=(len(ids), 8))
    vectors = np.eye(8)[dishes] + noise
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 8)
    workspace.write_table(pa.table([pa.array(ids), column], schema=embeddings_schema(8, "synthetic")), artifact)
    finish(workspace, artifact)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Twelve users with two reviews each; a review shows one dish and speaks of it."""
    workspace = Workspace(str(tmp_path / "workspace"))
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
    workspace.write_table(pa.Table.from_pylist(rows, ARTIFACTS["gest_s2"].schema), "gest_s2")
    finish(workspace, "gest_s2")
    dishes = [number % 4 for number in range(24)]
    write_embeddings(workspace, "image_embeddings", [f"p{number}" for number in range(24)], dishes)
    write_embeddings(workspace, "sentence_embeddings", [f"{row['review_id']}:0" for row in rows], dishes)
    return workspace


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"train_generator": {"model": TINY_MODEL, "loop": {"batch_size": 8}}}))
    return file


@pytest.mark.timeout(420)
def test_trials_end_and_the_best_is_a_config(
    ray_cluster: str, workspace: Workspace, config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "best.yaml"
    common = ["--config", str(config_file), "--root", workspace.root]
    main([*common, "--trials", "2", "--epochs", "2", "--out", str(out)])

    table = list(csv.DictReader(io.StringIO(workspace.read_bytes("_sweeps", "generator", "trials.csv").decode())))
    points = [{name: float(row[name]) for name in PAPER_POINT} for row in table]
    figures = [float(row["nats_per_word"]) for row in table]
    assert PAPER_POINT in points and points[0] != points[1]
    assert figures == sorted(figures) and all(0 < figure < 50 for figure in figures)

    taken = parse([*common, "--config", str(out)], "test").train_generator
    assert {name: getattr(taken.contrastive, name) for name in PAPER_POINT} == points[0]
    assert taken.model.n_embd == TINY_MODEL["n_embd"]
    printed = capsys.readouterr().out
    assert out.read_text() in printed and f"{figures[0]:.4f}" in printed and "(paper)" in printed

    client = MlflowClient(f"sqlite:///{workspace.root}/mlflow.db")
    experiment = client.get_experiment_by_name("showcases")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    parent = runs.pop("sweep-generator")
    assert len(runs) == 2
    for run in runs.values():
        assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert run.info.status == parent.info.status == "FINISHED"
        assert float(run.data.params["tau"]) in [point["tau"] for point in points]
        assert len(client.get_metric_history(run.info.run_id, "val_nats_per_word")) == 2  # one an epoch
    assert parent.data.metrics["best_val_nats_per_word"] == pytest.approx(figures[0])
    assert not list((Path(workspace.root) / "_runs").iterdir())  # checkpoints of trials are not kept


def test_says_which_step_is_missing(tmp_path: Path) -> None:
    config = parse(["--root", str(tmp_path / "empty")], "test")
    with pytest.raises(ArtifactError, match=r"jobs\.build_gest"):
        sweep(config, SweepConfig(trials=1))
