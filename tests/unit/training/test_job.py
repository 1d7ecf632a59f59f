"""A training job reaches another process whole."""

import subprocess
import sys
from pathlib import Path

import pytest
from ray import cloudpickle

from jobs.runner.config import PipelineConfig
from showcases.storage.artifacts import Workspace
from showcases.training import Prepared, TrainingJob

READ = """
import pickle, sys
job = pickle.load(sys.stdin.buffer)
print(job.workspace.root, job.loop.lr, job.loop.seed, job.variant, job.name, job.examples.rows, "torch" in sys.modules)
"""


def test_another_process_has_all_of_it_without_importing_torch(tmp_path: Path) -> None:
    config = PipelineConfig().train_generator
    workspace = Workspace(str(tmp_path / "ws")).placed({"generator": "_builds/generator/1"})
    job = TrainingJob(workspace, config, "img", 7, ("_reproduce", "generator-a"), examples=Prepared("f", 3, [], {}, 0))
    sent = cloudpickle.dumps(job)
    assert cloudpickle.loads(sent) == job
    done = subprocess.run([sys.executable, "-c", READ], input=sent, capture_output=True, check=True)
    expected = f"{workspace.root} {config.loop.lr} 7 img reproduce-generator-a 3 False"
    assert done.stdout.decode().strip() == expected and config.loop.seed == 0


def test_it_can_not_be_changed(tmp_path: Path) -> None:
    job = TrainingJob(Workspace(str(tmp_path)), PipelineConfig().train_selector, "img")
    with pytest.raises(AttributeError):
        job.seed = 1  # type: ignore[misc]
