"""What a trial's Ray Train workers run: a step's own training, its reports kept so that a trial can be continued.

The training of a trial that was cut off between its last report and its end has nothing left to do; it reports again
what stands in its checkpoint, or Ray Tune would take it for a trial without a figure.
"""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from showcases.training import Report

REPORTED = "reported.json"  # in a trial's checkpoint: the figures that were reported with it


def work(arguments: dict[str, Any], report: Report, resume_from: Path | None) -> None:
    """Train by `arguments["worker"]`; with `arguments["texts"]` judge the texts of the model it ends with."""
    with tempfile.TemporaryDirectory() as folder:
        kept = _Kept(report, Path(folder))
        if resume_from is not None:
            kept.take(resume_from)
        arguments["worker"](arguments["training"], kept, resume_from)
        if arguments["texts"] is not None:
            kept.add(_judged(arguments, kept.model))
        elif not kept.reported:
            kept.add({})


class _Kept:
    """Reports what it is told, and holds on to the last checkpoint, which its reporter removes."""

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


def _judged(arguments: dict[str, Any], model: Path) -> dict[str, float]:
    if _rank() != 0:
        return {}
    from ray.train.torch import get_device

    from tuning.texts import text_figures

    training = arguments["training"]
    return text_figures(training["root"], model, arguments["texts"], training["seed"], str(get_device()))


def _rank() -> int:
    from torch import distributed as dist

    return dist.get_rank() if dist.is_initialized() else 0
