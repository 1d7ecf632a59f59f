"""Ray Train's list of a run's checkpoints: what it would fail at is removed, and the checkpoints stay."""

import json
from pathlib import Path
from typing import Any

import pytest
import ray

from jobs.training.ray_train import RAY_STATE, drop_unreadable_state
from jobs.training.worker import RUNS, checkpoint_names
from showcases.storage.artifacts import Workspace

GOOD = {"ray_version": ray.__version__, "checkpoint_results": [{"checkpoint_dir_name": "checkpoint_2"}]}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / RUNS / "toy-1"
    for name in ("checkpoint_1", "checkpoint_2"):
        (folder / name).mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    "state",
    [
        json.dumps(GOOD)[:50],
        "",
        "[]",
        "{}",
        json.dumps(GOOD | {"ray_version": "1.0.0"}),
        json.dumps(GOOD | {"checkpoint_results": [{"checkpoint_dir_name": "checkpoint_3"}]}),
    ],
    ids=["half", "empty", "another form", "another object", "another release", "a checkpoint that is gone"],
)
def test_a_list_that_ray_train_would_fail_at_is_removed(tmp_path: Path, run: Path, state: str) -> None:
    (run / RAY_STATE).write_text(state)
    drop_unreadable_state(Workspace(str(tmp_path)), "toy-1")
    assert not (run / RAY_STATE).exists()
    assert checkpoint_names(Workspace(str(tmp_path)), "toy-1") == ["checkpoint_2", "checkpoint_1"]


@pytest.mark.parametrize("results", [GOOD["checkpoint_results"], []])
def test_a_good_list_stays(tmp_path: Path, run: Path, results: Any) -> None:
    (run / RAY_STATE).write_text(json.dumps(GOOD | {"checkpoint_results": results}))
    drop_unreadable_state(Workspace(str(tmp_path)), "toy-1")
    assert (run / RAY_STATE).exists()
    assert checkpoint_names(Workspace(str(tmp_path)), "toy-1") == ["checkpoint_2", "checkpoint_1"]


def test_a_run_that_has_not_begun_has_none(tmp_path: Path) -> None:
    drop_unreadable_state(Workspace(str(tmp_path)), "toy-1")
    assert checkpoint_names(Workspace(str(tmp_path)), "toy-1") == []
