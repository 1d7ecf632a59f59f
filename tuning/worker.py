"""Code of a trial's Ray Train workers: a step's own training, with reports saved so that a trial can resume.

If a trial was interrupted after its last report, its training has nothing left to do; it then repeats the report from
its checkpoint, or Ray Tune would see no result.
"""

import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobs.training.worker import Train
from showcases.training import Report, Session, TrainingJob

REPORTED = "reported.json"  # in a trial's checkpoint: the figures that were reported with it


def train_trial(job: TrainingJob[Any, Any], session: Session, train: Train, texts: int | None) -> None:
    """Train by `train`; with `texts`, judge as many texts of the model it ends with."""
    with tempfile.TemporaryDirectory() as folder:
        last = LastReport(session.report, Path(folder))
        if session.resume_from is not None:
            last.take(session.resume_from)
        train(job, replace(session, report=last))
        if texts is not None:
            last.add(_judged(job, session.device, texts, last.model))
        elif not last.reported:
            last.add({})


class LastReport:
    """Passes reports on, and holds on to the last checkpoint, which its reporter removes."""

    def __init__(self, report: Report, folder: Path) -> None:
        self.report, self.folder = report, folder / "checkpoint"
        self.metrics: dict[str, float] = {}
        self.reported = False

    @property
    def model(self) -> Path:
        return self.folder / "model"

    def take(self, checkpoint: Path) -> None:
        """Begin with a checkpoint that was reported before."""
        shutil.copytree(checkpoint, self.folder)
        self.metrics = json.loads((checkpoint / REPORTED).read_text())

    def __call__(self, metrics: dict[str, float], checkpoint: Path | None) -> None:
        self.metrics, self.reported = metrics, True
        if checkpoint is not None:  # on rank 0
            (checkpoint / REPORTED).write_text(json.dumps(metrics))
            shutil.rmtree(self.folder, ignore_errors=True)
            shutil.copytree(checkpoint, self.folder)
        self.report(metrics, checkpoint)

    def add(self, figures: dict[str, float]) -> None:
        """Report the last figures once more, with others, and the same checkpoint; on every rank."""
        metrics = {**self.metrics, **figures}
        if _rank() == 0:
            (self.folder / REPORTED).write_text(json.dumps(metrics))
        self.report(metrics, self.folder if _rank() == 0 else None)


def _judged(job: TrainingJob[Any, Any], device: str, texts: int, model: Path) -> dict[str, float]:
    if _rank() != 0:
        return {}
    from tuning.texts import text_figures

    return text_figures(job.workspace.root, model, texts, job.seed, device)


def _rank() -> int:
    from torch import distributed as dist

    return dist.get_rank() if dist.is_initialized() else 0
