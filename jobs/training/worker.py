"""Code of each Ray Train worker: open the examples, resume from the last readable checkpoint, train, report."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.train
import ray.train.collective
from ray.train import Checkpoint

from jobs.tracking.tracker import Tracker
from jobs.training.examples import stream
from showcases.errors import CheckpointError
from showcases.storage.artifacts import Workspace
from showcases.training import Report, Session, TrainingJob

RUNS = "_runs"  # unfinished training, under the workspace root
MAX_CHECKPOINTS = 2  # per run; the second one is the fallback if the last is unreadable
CHECKPOINT_PREFIX = "checkpoint_"  # Ray Train's folders, whose names sort by time
BAD_BATCH = "bad_batch"  # folder in a run, one file per rank
WORKER_END_SECONDS = 20.0  # to send the last metrics to MLflow; the rest is sent later

Train = Callable[[TrainingJob[Any, Any], Session], object]  # called on every rank, with the process group set up


@dataclass(frozen=True)
class Assignment:
    """The input of a Ray Train worker.

    Attributes:
        job: what is trained.
        train: trains it; a function at the top of a module.
        run: folder of its checkpoints under RUNS.
        tracking: MLflow's URI and the id of the run that metrics go to.
        prefix: of the metrics' names there.
        start: checkpoint to begin with where the run has none of its assignment.
    """

    job: TrainingJob[Any, Any]
    train: Train
    run: str
    tracking: tuple[str, str]
    prefix: str = ""
    start: Checkpoint | None = None

    @property
    def workspace(self) -> Workspace:
        return self.job.workspace


def run_on_rank(assignment: Assignment) -> None:
    """Restore, train, report."""
    tracker = Tracker(*assignment.tracking, assignment.workspace.root)
    rank = ray.train.get_context().get_world_rank()

    def report(metrics: dict[str, float], checkpoint: Path | None) -> None:
        if rank == 0:
            print(_progress(assignment.prefix.rstrip("/"), metrics), flush=True)
            if float(metrics.get("epoch", 0)).is_integer():  # MLflow's steps are integers
                tracker.log_metrics(
                    {assignment.prefix + k: v for k, v in metrics.items()}, step=int(metrics.get("epoch", 0))
                )
        saved = Checkpoint.from_directory(str(checkpoint)) if checkpoint is not None else None
        ray.train.report(metrics, checkpoint=saved)
        # Only rank 0 uploads. The others wait here without a timeout, and not in a torch collective, where a slow
        # upload would look like a lost node.
        ray.train.collective.barrier()

    from showcases.training.loop import LossError  # local import: Ray Train's controller doesn't need torch

    try:
        train_from_last_checkpoint(assignment, report)
    except LossError as error:
        save_bad_batch(assignment, rank, error)
    finally:
        tracker.spool.close(WORKER_END_SECONDS)


def train_from_last_checkpoint(assignment: Assignment, report: Report) -> None:
    """Train from the last checkpoint, or from the previous one if that is unreadable.

    Raises:
        CheckpointError: no checkpoint is readable.
    """
    candidates = checkpoints_to_try(assignment)
    if not candidates:
        assignment.train(assignment.job, session(assignment.job, report, None))
        return
    failures: list[str] = []
    for candidate in candidates:
        with candidate.as_directory() as folder:
            ray.train.collective.barrier()  # no timeout for slow downloads
            try:
                assignment.train(assignment.job, session(assignment.job, report, Path(folder)))
                return
            except CheckpointError as error:  # on all ranks: see showcases.training.checkpoints
                failures.append(str(error).replace(Path(folder).name, Path(candidate.path).name))
        if ray.train.get_context().get_world_rank() == 0 and candidate is not candidates[-1]:
            print(f"WARNING: {failures[-1]}; resuming from the one before it", flush=True)
    raise CheckpointError(
        f"{'; '.join(failures)}. No other is left in {assignment.workspace.path(RUNS, assignment.run)}: train with the "
        "release that wrote it, or start over with --force true"
    )


def session(job: TrainingJob[Any, Any], report: Report, resume_from: Path | None) -> Session:
    """This worker's session: device, checkpoint and example stream."""
    from ray.train.torch import get_device

    prepared = job.examples
    opened = None if prepared is None else stream(job.workspace, prepared, job.seed, job.loop.run)
    return Session(report, resume_from, str(get_device()), opened)


def checkpoint_names(workspace: Workspace, run: str) -> list[str]:
    """Folders of a run's checkpoints, newest first."""
    names = workspace.folders_in(RUNS, run)
    return [name for name in reversed(names) if name.startswith(CHECKPOINT_PREFIX)]


def checkpoints_to_try(assignment: Assignment) -> list[Checkpoint]:
    """The run's last checkpoints, newest first, then its initial one; identical on every rank."""
    last = ray.train.get_checkpoint()
    names = checkpoint_names(assignment.workspace, assignment.run)
    if last is not None:  # a newer folder is an incomplete upload
        names = [name for name in names if name <= Path(last.path).name]
    names = ray.train.collective.broadcast_from_rank_zero(names[:MAX_CHECKPOINTS])
    found = [
        Checkpoint(assignment.workspace.path(RUNS, assignment.run, name), assignment.workspace.filesystem)
        for name in names
    ]
    return found if assignment.start is None else [*found, assignment.start]


def save_bad_batch(assignment: Assignment, rank: int, error: Any) -> None:
    """Save a rank's part of the batch with a NaN or infinite loss. The run ends, since a retry would fail again."""
    found = {"loss": str(error.loss), "epoch": error.epoch, "step": error.step, "examples": error.examples}
    assignment.workspace.write_json(found, RUNS, assignment.run, BAD_BATCH, f"rank{rank}.json")


def _progress(name: str, metrics: dict[str, float]) -> str:
    shown = {key: value for key, value in metrics.items() if key.startswith(("train_loss", "val_"))}
    return f"{name}: epoch {metrics.get('epoch', 0):.4g}  " + "  ".join(f"{k} {v:.3f}" for k, v in shown.items())
