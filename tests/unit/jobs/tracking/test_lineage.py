"""From a registered model back to the corpus: what steps note of their runs is enough to tell."""

import json
import subprocess
from pathlib import Path

import pytest

from jobs import lineage
from jobs.runner.config import PipelineConfig
from jobs.runner.execute import execute
from jobs.runner.step import Step, StepContext
from jobs.tracking import run_facts
from jobs.tracking import tracker as tracking
from jobs.tracking.config import tracking_uri
from showcases.storage.artifacts import Workspace

CORPUS = "c" * 64


def nothing(context: StepContext) -> None:
    """A step that only has its manifest written."""


def train(context: StepContext) -> None:
    folder = Path(context.workspace.root, "selector")
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    asked = tracking.Registration("showcases-selector", "loss", 1.0, False, {"validation_data": "v"})
    tracking.register(context.tracker, folder, asked)


INGEST = Step("ingest", (), ("reviews",), ("seed",), nothing, inputs=lambda _: {"corpus": CORPUS})
BUILD = Step("build_gest", ("reviews",), ("gest_s1",), ("seed",), nothing)
TRAIN = Step("train_selector", ("gest_s1",), ("selector",), ("seed", "train_selector"), train)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> PipelineConfig:
    made = PipelineConfig(root=str(tmp_path_factory.mktemp("ws")), seed=3)
    for step in (INGEST, BUILD, TRAIN):
        execute(step, Workspace(made.root), made)
    return made


def told(config: PipelineConfig, capsys: pytest.CaptureFixture[str], *options: str) -> str:
    lineage.main(["--root", config.root, "--model", "showcases-selector", *options])
    return capsys.readouterr().out


def test_a_model_leads_to_its_config_and_to_the_corpus(
    config: PipelineConfig, capsys: pytest.CaptureFixture[str], repository: Path
) -> None:
    found, workspace = json.loads(told(config, capsys, "--json")), Workspace(config.root)
    assert found["model"] == "showcases-selector version 1" and set(found["aliases"]) == {"candidate", "champion"}
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True).stdout.strip()
    assert (found["run"]["commit"] or "") == head
    assert found["run"]["config"]["seed"] == "3" and "train_selector.loop.lr" in found["run"]["config"]
    dataset = found["data"]["gest_s1"]
    assert dataset["sha256"] == workspace.require("gest_s1").digest and dataset["state"] == lineage.CURRENT
    assert dataset["from"]["reviews"]["from"]["corpus"] == {"sha256": CORPUS}
    text = told(config, capsys, "--version", "1")
    assert f"gest_s1: {dataset['sha256'][:12]}, current" in text and f"corpus: {CORPUS[:12]}" in text


def test_mlflow_shows_inputs_seed_and_versions(config: PipelineConfig) -> None:
    client = tracking.client_of(tracking_uri(config))
    run = client.get_run(str(client.get_model_version("showcases-selector", "1").run_id))
    assert run.inputs is not None
    [read] = run.inputs.dataset_inputs
    assert (read.dataset.name, read.dataset.digest) == (
        "gest_s1",
        Workspace(config.root).require("gest_s1").digest[:36],
    )
    import torch

    assert run.data.tags["version.torch"] == torch.__version__ and run.data.tags["seed"] == "3"


def test_data_that_was_made_anew_is_said_to_be(config: PipelineConfig, capsys: pytest.CaptureFixture[str]) -> None:
    execute(BUILD, Workspace(config.root), PipelineConfig(root=config.root, seed=4))
    assert lineage.CHANGED in told(config, capsys)
    with pytest.raises(SystemExit):
        told(config, capsys, "--version", "7")
    assert "showcases-selector has no version 7" in capsys.readouterr().err


def test_the_machine_is_watched_while_a_run_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    monkeypatch.setattr(run_facts, "SAMPLE_SECONDS", 0.01)
    seen: list[tuple[dict[str, float], int]] = []
    twice = threading.Event()

    def log(metrics: dict[str, float], step: int) -> None:
        seen.append((metrics, step))
        if step == 2:
            twice.set()

    with run_facts.machine_watched(log):
        assert twice.wait(60)
    named = {name for metrics, _ in seen for name in metrics}
    assert {"system/cpu_utilization_percentage", "system/system_memory_usage_megabytes"} <= named
    ended = len(seen)
    assert {step for _, step in seen} >= {0, 1, 2} and ended == len(seen)
