"""One trial: a Ray Train run of a step's training at one point, inside a Ray Tune function.

Ray Tune of today takes no trainer: a trial is a function that builds one and passes on what it reports. Ray's own
callback for that passes figures only; here each checkpoint goes along, so that Ray Tune holds the weights: a trial that
was cut off goes on from them, and Population Based Training hands them from one trial to another.
"""

import contextlib
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, TrainingFailedError
from ray.train.torch import TorchConfig, TorchTrainer
from ray.train.v2.api.callback import UserCallback
from ray.util.queue import Empty, Queue

from jobs.training import COLLECTIVE_TIMEOUT_SECONDS, RUNS, reason, run_on_rank, scaling, stop_at_bad_batch
from showcases.artifacts import Workspace
from showcases.errors import ShowcasesError
from tuning.kinds import Plan
from tuning.runs import TrialRuns
from tuning.worker import work

NUMBER, POINT = "number", "point"  # of a trial: its place in the sweep, and where it is
DRIVER_CPU = 0.1  # of the process that waits for the workers
IN_FLIGHT = 3  # checkpoints of a training: one is being copied, one waits, one is being reported
POLL_SECONDS = 1.0


@dataclass(frozen=True)
class TrialSettings:
    """What all trials of a sweep share.

    Args:
        plan: with an absolute root and a tracking URI, for trials run in folders of their own.
        runs: in MLflow.
        prepared: of every trial's workers: the examples, prepared once.
    """

    plan: Plan
    runs: TrialRuns
    prepared: dict[str, Any]


class Relay(UserCallback):
    """Passes each report of a training on to the function that waits for it; called in Ray Train's controller."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Any) -> None:
        self.queue.put((metrics[0], checkpoint))  # of rank 0; waits until there is room


def run_trial(trial: dict[str, Any], settings: TrialSettings) -> None:
    """Train at `trial[POINT]`; every validation is reported to Ray Tune with its checkpoint.

    Raises:
        ShowcasesError: the training failed, or its loss was not finite.
    """
    context = tune.get_context()
    tracker = settings.runs.of(context.get_trial_id(), trial[NUMBER], trial[POINT])
    workspace = Workspace(settings.plan.config.root)
    parts = (*runs_folder(settings.plan), f"{context.get_trial_id()}-{uuid.uuid4().hex[:8]}")  # one for each start
    queue = Queue(1, actor_options={"num_cpus": 0})
    arguments = training_arguments(settings, trial, (tracker.uri, tracker.run_id), "/".join(parts[1:]))
    trainer = _trainer(settings.plan, workspace, parts, arguments, queue)
    try:
        for metrics, checkpoint in _reports(trainer, queue):
            tune.report(metrics, checkpoint=checkpoint)
    except TrainingFailedError as error:
        raise ShowcasesError(reason(error)) from error
    stop_at_bad_batch(workspace, "/".join(parts[1:]))
    workspace.filesystem.delete_dir(workspace.path(*parts))


def runs_folder(plan: Plan) -> tuple[str, ...]:
    """Where a sweep's trainings keep what they have reported, until Ray Tune has copied it."""
    return (RUNS, f"{plan.run}-{plan.sweep.name}")


def training_arguments(
    settings: TrialSettings, trial: dict[str, Any], tracking: tuple[str, str], run: str
) -> dict[str, Any]:
    """What `run_on_rank` is given: the step's training at the trial's point."""
    plan = settings.plan
    options = plan.at(trial[POINT])
    training = {
        "root": plan.config.root,
        "config": options,
        "variant": options.variants[0],
        "seed": plan.config.seed + options.seeds[0],
        **settings.prepared,
    }
    texts = plan.sweep.validation_texts if len(plan.goal.metrics) > 1 else None
    return {
        "workspace": Workspace(plan.config.root),
        "run": run,
        "worker": work,
        "arguments": {"worker": plan.kind.family.worker, "training": training, "texts": texts},
        "tracking": tracking,
        "prefix": "",
        "start": tune.get_checkpoint(),
    }


def _trainer(
    plan: Plan, workspace: Workspace, parts: tuple[str, ...], arguments: dict[str, Any], queue: Queue
) -> TorchTrainer:
    return TorchTrainer(
        run_on_rank,
        train_loop_config=arguments,
        scaling_config=scaling(plan.config.cluster),
        torch_config=TorchConfig(timeout_s=COLLECTIVE_TIMEOUT_SECONDS),
        run_config=RunConfig(
            name=parts[-1],
            storage_path=workspace.path(*parts[:-1]),
            storage_filesystem=workspace.filesystem,
            failure_config=FailureConfig(max_failures=1),
            checkpoint_config=CheckpointConfig(num_to_keep=IN_FLIGHT),
            callbacks=[Relay(queue)],  # type: ignore[list-item] # a Train V2 callback, as V2 wants
        ),
    )


def _reports(trainer: TorchTrainer, queue: Queue) -> Iterator[tuple[dict[str, Any], Checkpoint | None]]:
    """What the training reports, as it does; ends with it, or with its error."""
    with ThreadPoolExecutor(1) as pool:
        training: Future[Any] = pool.submit(trainer.fit)
        while not training.done():
            with contextlib.suppress(Empty):
                yield queue.get(timeout=POLL_SECONDS)
        while not queue.empty():
            yield queue.get()
        training.result()
