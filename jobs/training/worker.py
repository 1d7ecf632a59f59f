"""What each Ray Train worker runs: open the examples, resume from the last readable checkpoint, train, report."""

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
CHECKPOINTS_KEPT = 2  # of a run: should the last one be unreadable, the one before it is resumed from
CHECKPOINT_PREFIX = "checkpoint_"  # of Ray Train's folders in a run, whose names sort by time
BAD_BATCH = "bad_batch"  # folder of a run, a file a rank
WORKER_END_SECONDS = 20.0  # for the last metrics to reach MLflow; what does not is sent later

Train = Callable[[TrainingJob[Any, Any], Session], object]  # called on every rank, with the process group set up


@dataclass(frozen=True)
class Assignment:
    """All that a Ray Train worker is given.

    Attributes:
        job: what is trained.
        train: trains it; a function at the top of a module.
        run: folder of its checkpoints under RUNS.
        tracking: MLflow's URI and the id of the run that metrics go to.
        prefix: of the metrics' names there.
        start: checkpoint to begin with where the run has none of its own.
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


def run_on_rank(own: Assignment) -> None:
    """Restore, train, report."""
    tracker = Tracker(*own.tracking, own.workspace.root)
    rank = ray.train.get_context().get_world_rank()

    def report(metrics: dict[str, float], checkpoint: Path | None) -> None:
        if rank == 0:
            print(_progress(own.prefix.rstrip("/"), metrics), flush=True)
            if float(metrics.get("epoch", 0)).is_integer():  # MLflow's steps are whole
                tracker.log_metrics({own.prefix + k: v for k, v in metrics.items()}, step=int(metrics.get("epoch", 0)))
        saved = Checkpoint.from_directory(str(checkpoint)) if checkpoint is not None else None
        ray.train.report(metrics, checkpoint=saved)
        # Only the first rank uploads. The others wait here, where a slow store is not taken for a lost node, and not
        # in a collective of torch, which has a timeout.
        ray.train.collective.barrier()

    from showcases.training.loop import LossError  # here: Ray Train's controller imports this module and needs no torch

    try:
        train_from_last_checkpoint(own, report)
    except LossError as error:
        keep_bad_batch(own, rank, error)
    finally:
        tracker.spool.close(WORKER_END_SECONDS)


def train_from_last_checkpoint(own: Assignment, report: Report) -> None:
    """Train from the last checkpoint; from the one before it, if that can't be read.

    Raises:
        CheckpointError: there are checkpoints, and none can be read.
    """
    candidates = checkpoints_to_try(own)
    if not candidates:
        own.train(own.job, session(own.job, report, None))
        return
    failures: list[str] = []
    for candidate in candidates:
        with candidate.as_directory() as folder:
            ray.train.collective.barrier()  # a rank that downloads slowly is not lost, either
            try:
                own.train(own.job, session(own.job, report, Path(folder)))
                return
            except CheckpointError as error:  # on all ranks: see showcases.training.checkpoints
                failures.append(str(error).replace(Path(folder).name, Path(candidate.path).name))
        if ray.train.get_context().get_world_rank() == 0 and candidate is not candidates[-1]:
            print(f"WARNING: {failures[-1]}; resuming from the one before it", flush=True)
    raise CheckpointError(
        f"{'; '.join(failures)}. No other is left in {own.workspace.path(RUNS, own.run)}: train with the release that "
        "wrote it, or start over with --force true"
    )


def session(job: TrainingJob[Any, Any], report: Report, resume_from: Path | None) -> Session:
    """This worker's device, and the job's examples opened."""
    from ray.train.torch import get_device

    prepared = job.examples
    opened = None if prepared is None else stream(job.workspace, prepared, job.seed, job.loop.run)
    return Session(report, resume_from, str(get_device()), opened)


def checkpoint_names(workspace: Workspace, run: str) -> list[str]:
    """Folders of a run's checkpoints, the newest first."""
    names = workspace.folders_in(RUNS, run)
    return [name for name in reversed(names) if name.startswith(CHECKPOINT_PREFIX)]


def checkpoints_to_try(own: Assignment) -> list[Checkpoint]:
    """The run's last checkpoint, the one before it, and what the run started from; the same on every rank."""
    last = ray.train.get_checkpoint()
    names = checkpoint_names(own.workspace, own.run)
    if last is not None:  # a newer folder is of an upload that was cut off
        names = [name for name in names if name <= Path(last.path).name]
    names = ray.train.collective.broadcast_from_rank_zero(names[:CHECKPOINTS_KEPT])
    found = [Checkpoint(own.workspace.path(RUNS, own.run, name), own.workspace.filesystem) for name in names]
    return found if own.start is None else [*found, own.start]


def keep_bad_batch(own: Assignment, rank: int, error: Any) -> None:
    """A rank's part of the batch that has no finite loss. It ends the run: started again it would come to the same."""
    found = {"loss": str(error.loss), "epoch": error.epoch, "step": error.step, "examples": error.examples}
    own.workspace.write_json(found, RUNS, own.run, BAD_BATCH, f"rank{rank}.json")


def _progress(name: str, metrics: dict[str, float]) -> str:
    shown = {key: value for key, value in metrics.items() if key.startswith(("train_loss", "val_"))}
    return f"{name}: epoch {metrics.get('epoch', 0):.4g}  " + "  ".join(f"{k} {v:.3f}" for k, v in shown.items())
