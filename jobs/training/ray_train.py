"""Ray Train for every model: workers, process group, checkpoints in the workspace, resume after any death."""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import ray
import ray.train
from pyarrow.fs import FileSelector
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from jobs.runner.cluster import ClusterConfig
from jobs.runner.step import StepContext
from jobs.training.process_group import ProcessGroup
from jobs.training.worker import BAD_BATCH, CHECKPOINTS_KEPT, RUNS, Assignment, Train, checkpoint_names, run_on_rank
from showcases.errors import ConfigError, ShowcasesError
from showcases.storage.artifacts import Place, Workspace
from showcases.system_errors import system_error_in
from showcases.training import TrainingJob

MAX_FAILURES = 2  # of the workers while they train, and as many while they are brought together
RAY_STATE = "checkpoint_manager_snapshot.json"  # of a run: Ray Train's list of its checkpoints
METRICS_FILE = "metrics.json"

Job = TrainingJob[Any, Any]


def train(
    context: StepContext, job: Job, train_on_rank: Train, prepare: Callable[[Job], Job] = lambda job: job
) -> dict[str, float]:
    """Train a job's model on N processes with Ray Train, and copy it to the job's place.

    A run that was interrupted, by a dead worker or a dead driver, resumes from its last readable checkpoint, unless the
    step is forced; a model at the place from the same config and inputs is returned as it is.

    Args:
        job: its place and fingerprint name the run.
        train_on_rank: called on every rank with the job and the rank's session.
        prepare: completes the job by what is made before training, e.g. its examples.

    Returns:
        The last metrics reported.

    Raises:
        ShowcasesError: workers failed again and again, or the loss was not finite.
    """
    workspace, name = context.workspace, job.name
    existing = finished_model(workspace, job.fingerprint, job.place)
    if existing is not None:
        context.say(f"{name}: trained before")
        context.warn_of_chance(name, existing, job.chance_causes)
        return existing
    job = prepare(job)
    run = f"{name}-{job.fingerprint}"
    if context.config.force:
        workspace.remove(RUNS, run)
    workspace.remove(RUNS, run, BAD_BATCH)  # what stopped this run before need not stop it again
    drop_unreadable_state(workspace, run)
    tracking = (context.tracker.uri, context.tracker.run_id)
    trainer = new_trainer(Assignment(job, train_on_rank, run, tracking, f"{name}/"), context.config.cluster)
    try:
        result = fit(trainer, context.say)
    except ray.train.TrainingFailedError as error:
        raise system_error_in(error) or ShowcasesError(
            f"training {name} failed: {reason(error)}. Its checkpoints stay in {workspace.path(RUNS, run)}; run the "
            "step again with the same config to resume from the last one, or with --force true to start over"
        ) from error
    stop_at_bad_batch(workspace, run)
    if result.checkpoint is None:
        raise ShowcasesError(f"training {name} ended without a checkpoint")
    metrics = dict(result.metrics or {})
    with result.checkpoint.as_directory() as folder:
        keep_model(Path(folder) / "model", workspace, metrics, job.fingerprint, job.place)
    workspace.remove(RUNS, run)
    context.warn_of_chance(name, metrics, job.chance_causes)
    return metrics


def new_trainer(
    own: Assignment,
    cluster: ClusterConfig,
    max_failures: int = MAX_FAILURES,
    checkpoints: int = CHECKPOINTS_KEPT,
    callbacks: Sequence[Any] = (),
) -> TorchTrainer:
    """Ray Train's trainer of one assignment, which every worker gets whole."""
    workspace = own.workspace
    return TorchTrainer(
        partial(run_on_rank, own),
        scaling_config=scaling(cluster),
        torch_config=ProcessGroup(timeout_s=cluster.collective_timeout_s),
        run_config=RunConfig(
            name=own.run,
            storage_path=workspace.path(RUNS),
            storage_filesystem=workspace.filesystem,
            failure_config=FailureConfig(max_failures=max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=checkpoints),
            callbacks=list(callbacks),
        ),
    )


def fit(trainer: TorchTrainer, say: Callable[[str], None]) -> ray.train.Result:
    """Train; Ray Train itself tries again after what the workers fail at, but not where they never came together.

    A node that is lost at that moment leaves the others with refused or broken connections, long before Ray knows why.
    """
    for _ in range(MAX_FAILURES):
        try:
            return trainer.fit()
        except ray.train.ControllerError as error:
            say(f"the workers did not come together: {reason(error)}; started again")
    return trainer.fit()


def reason(error: Exception) -> str:
    """What went wrong on the first rank that failed: the last line of its stack trace."""
    failures = getattr(error, "worker_failures", {})
    told = str(failures[min(failures)]) if failures else str(error)
    return next((line.strip() for line in reversed(told.splitlines()) if line.strip()), type(error).__name__)


def drop_unreadable_state(workspace: Workspace, run: str) -> None:
    """Remove Ray Train's list of a run's checkpoints if Ray Train would fail at it; the checkpoints stay.

    It is of another version of Ray, half written, or names a checkpoint that is not there.
    """
    try:
        state = workspace.find_json(RUNS, run, RAY_STATE)
        if state is None:
            return
        names = {each["checkpoint_dir_name"] for each in state["checkpoint_results"]}
        if state["ray_version"] == ray.__version__ and names <= set(checkpoint_names(workspace, run)):
            return
    except (ValueError, KeyError, TypeError):
        pass
    workspace.filesystem.delete_file(workspace.path(RUNS, run, RAY_STATE))


def stop_at_bad_batch(workspace: Workspace, run: str) -> None:
    """
    Raises:
        ShowcasesError: the loss was not finite; the ranks have written down their examples.
    """
    folder = workspace.path(RUNS, run, BAD_BATCH)
    found = workspace.filesystem.get_file_info(FileSelector(folder, allow_not_found=True))
    told = [json.loads(workspace.read_bytes(RUNS, run, BAD_BATCH, info.base_name)) for info in found]
    if told:
        worst = next((each for each in told if each["loss"] in ("nan", "inf", "-inf")), told[0])
        raise ShowcasesError(
            f"training stopped: the loss is {worst['loss']} at epoch {worst['epoch'] + 1}, step {worst['step'] + 1}. "
            f"The examples of that batch are in {folder}, beside the last good checkpoint if there is one; lower lr, "
            "or look at those examples"
        )


def scaling(cluster: ClusterConfig) -> ScalingConfig:
    """The workers that train together."""
    return ScalingConfig(num_workers=cluster.workers, use_gpu=cluster.gpu, resources_per_worker=per_worker(cluster))


def per_worker(cluster: ClusterConfig) -> dict[str, float]:
    """What a training worker holds."""
    return {"CPU": cluster.cpus_per_worker, **({"GPU": 1} if cluster.gpu else {})}


def trainings_at_once(cluster: ClusterConfig, resources: dict[str, float], driver_cpu: float = 0.0) -> int:
    """How many trainings fit side by side: Ray counts the slice of what starts one only, not its workers'.

    Args:
        resources: of the whole cluster, e.g. {"CPU": 16, "GPU": 2}.
        driver_cpu: what the process that waits for the workers holds.

    Raises:
        ConfigError: not even one fits; it would wait for ever.
    """
    need = {name: amount * cluster.workers for name, amount in per_worker(cluster).items()}
    need["CPU"] += driver_cpu
    fitting = min(int(resources.get(name, 0) / amount + 1e-9) for name, amount in need.items())
    if fitting < 1:
        has = {name: resources.get(name, 0) for name in need}
        raise ConfigError(
            f"a training with {cluster.workers} workers needs {need}, the cluster has {has}: lower cluster.workers or "
            "cluster.cpus_per_worker, or wait until the cluster has grown"
        )
    return fitting


def finished_model(workspace: Workspace, fingerprint: str, place: Place) -> dict[str, float] | None:
    """Metrics of the model at a place, if the same config and inputs made it."""
    found = workspace.find_json(*place, METRICS_FILE) or {}
    return found["metrics"] if found.get("fingerprint") == fingerprint else None


def keep_model(folder: Path, workspace: Workspace, metrics: dict[str, float], fingerprint: str, place: Place) -> None:
    """Copy a checkpoint's model folder to its place, its metrics last."""
    with tempfile.TemporaryDirectory() as temporary:
        model = Path(temporary) / "model"
        shutil.copytree(folder, model)
        workspace.upload(model, *place)
    workspace.write_json({"fingerprint": fingerprint, "metrics": metrics}, *place, METRICS_FILE)
