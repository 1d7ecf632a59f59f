"""One trial: a Ray Train run of a step's training at one point, inside a Ray Tune trainable.

Ray Tune of today takes no trainer: a trial builds one and passes on what it reports. Ray's own callback for that passes
figures only; here each checkpoint goes along, so that Ray Tune holds the weights: a trial that was cut off goes on from
them, and Population Based Training hands them from one trial to another.
"""

import contextlib
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import ray
from pyarrow.fs import copy_files
from ray import tune
from ray.train import Checkpoint, TrainingFailedError
from ray.train.torch import TorchTrainer
from ray.train.v2.api.callback import UserCallback
from ray.util.queue import Empty, Queue

from jobs.training.ray_train import new_trainer, reason, stop_at_bad_batch
from jobs.training.worker import RUNS, Assignment
from showcases.errors import ShowcasesError
from showcases.storage.artifacts import Workspace
from showcases.training import TrainingJob
from tuning.kinds import Plan
from tuning.runs import TrialRuns
from tuning.worker import train_trial

NUMBER, POINT = "number", "point"  # of a trial: its place in the sweep, and where it is
DRIVER_CPU = 0.1  # of the process that waits for the workers
IN_FLIGHT = 3  # checkpoints of a training: one is being copied, one waits, one is being reported
POLL_SECONDS = 1.0
ABORT_SECONDS = 30.0
START = "start"  # in the folder of a training: the checkpoint that it goes on from


@dataclass(frozen=True)
class TrialSettings:
    """What all trials of a sweep share.

    Args:
        plan: with an absolute root and a tracking URI, for trials run in folders of their own.
        runs: in MLflow.
        job: at no point yet; its examples are prepared once.
    """

    plan: Plan
    runs: TrialRuns
    job: TrainingJob[Any, Any]


class Relay(UserCallback):
    """Passes each report of a training on to the trial that waits for it; called in Ray Train's controller."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        controller = ray.get_runtime_context().current_actor
        self.queue.put((metrics[0], checkpoint, controller))  # of rank 0; waits until there is room


class Trial(tune.Trainable):
    """A training at `config[POINT]`: a step of Ray Tune's is a report, and a report's checkpoint is Ray Tune's.

    A class and not a function: when Ray Tune stops or pauses a function, it ends its process at once, and the workers'
    place in the cluster stays taken, as nobody gives it back. `cleanup` does.
    """

    def setup(self, config: dict[str, Any], settings: TrialSettings) -> None:  # type: ignore[override] # as bound
        self.settings, self.workspace = settings, Workspace(settings.plan.config.root)
        self.run = f"{runs_prefix(settings.plan)}{self.trial_id}-{uuid.uuid4().hex[:8]}"  # one for each start
        self.start: Checkpoint | None = None
        self.last: Checkpoint | None = None
        self.pool = ThreadPoolExecutor(1)
        self.training: Future[Any] | None = None
        self.controller: Any = None

    def step(self) -> dict[str, Any]:
        """The next report; with the last one the training has ended.

        Raises:
            ShowcasesError: the training failed, or its loss was not finite.
        """
        if self.training is None:
            self.queue = Queue(1, actor_options={"num_cpus": 0})
            self.training = self.pool.submit(self._trainer().fit)
        metrics, self.last = self._report()
        done = metrics["epoch"] >= self.settings.plan.sweep.epochs and self.settings.plan.goal.score in metrics
        if done:
            self._ended()
        return {**metrics, "done": done}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        assert self.last is not None
        copy_files(self.last.path, checkpoint_dir, source_filesystem=self.last.filesystem)

    def load_checkpoint(self, checkpoint: dict[str, Any] | str | None) -> None:
        """Go on from there; the workers may be on other nodes, so it is put where they can read it."""
        assert isinstance(checkpoint, str)
        self.workspace.upload(Path(checkpoint), RUNS, self.run, START)
        path = self.workspace.path(RUNS, self.run, START)
        self.start = self.last = Checkpoint(path, self.workspace.filesystem)

    def cleanup(self) -> None:
        """End the training, if it still runs, and give back its workers' place in the cluster."""
        if self.controller is not None and self.training is not None and not self.training.done():
            self._abort()
        self.pool.shutdown(wait=False)
        self.workspace.remove(RUNS, self.run)

    def _abort(self) -> None:
        """End the controller; it may wait for room in the queue."""
        ending, until = self.controller.abort.remote(), time.monotonic() + ABORT_SECONDS
        while not ray.wait([ending], timeout=0.2)[0] and time.monotonic() < until:
            with contextlib.suppress(Empty):
                self.queue.get(block=False)

    def _report(self) -> tuple[dict[str, Any], Checkpoint | None]:
        assert self.training is not None
        while not self.training.done() or not self.queue.empty():
            with contextlib.suppress(Empty):
                metrics, checkpoint, self.controller = self.queue.get(timeout=POLL_SECONDS)
                return metrics, checkpoint
        self._ended()
        raise ShowcasesError("the training ended before its last report")

    def _ended(self) -> None:
        """Wait for the training's end, which it has reported; its failure is the trial's."""
        assert self.training is not None
        try:
            self.training.result()
        except TrainingFailedError as error:
            raise ShowcasesError(reason(error)) from error
        stop_at_bad_batch(self.workspace, self.run)

    def _trainer(self) -> TorchTrainer:
        """Ray Train's, of the step's training at the trial's point."""
        plan = self.settings.plan
        texts = plan.sweep.validation_texts if len(plan.goal.metrics) > 1 else None
        own = Assignment(
            replace(self.settings.job, config=plan.at(self.config[POINT])),
            partial(train_trial, train=plan.kind.family.train, texts=texts),
            self.run,
            (str(plan.config.tracking.uri), self.settings.runs.id_of(self.trial_id)),
            start=self.start,
        )
        callbacks = [Relay(self.queue)]
        return new_trainer(own, plan.config.cluster, max_failures=1, checkpoints=IN_FLIGHT, callbacks=callbacks)


def runs_prefix(plan: Plan) -> str:
    """What the folders begin with in which a sweep's trainings keep their reports, until Ray Tune has copied them."""
    return f"{plan.run}.{plan.sweep.name}."


def number_of(trial_id: str, config: dict[str, Any]) -> int:
    """A trial's place in the sweep: Ray Tune's own count where it has one, Optuna's trials have none."""
    _, _, count = trial_id.partition("_")
    return int(count) if count else int(config[NUMBER])
