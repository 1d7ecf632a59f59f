"""A training that stays at chance says so on the screen and in MLflow, whether it has just ended or ended before."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from jobs.runner.config import PipelineConfig
from jobs.runner.step import StepContext
from jobs.tracking import tracker as tracking
from showcases.clip.config import CHANCE_CAUSES
from showcases.storage.artifacts import Workspace

STUCK = {"train_loss": 4.2, "chance_train_loss": 4.1589, "reached_train_loss": 4.159, "at_chance_train_loss": 1.0}


def test_it_is_on_the_screen_and_a_tag_of_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = PipelineConfig(root=str(tmp_path))
    with tracking.step_run("train_clip", config, {}, None) as tracker:
        context = StepContext(Workspace(str(tmp_path)), config, tracker, {}, {})
        context.warn_of_chance("selector", STUCK | {"at_chance_train_loss": 0.0}, CHANCE_CAUSES)
        context.warn_of_chance("clip", STUCK, CHANCE_CAUSES)
        run, uri = tracker.run_id, tracker.uri
    [line] = [line for line in capsys.readouterr().out.splitlines() if "WARNING" in line]
    assert "clip is no better than chance: train_loss 4.159 at best (chance 4.159). Look for: photos that" in line
    tags = MlflowClient(uri).get_run(run).data.tags
    assert tags["warning.clip"] == line.strip() and "warning.selector" not in tags
