"""Trains any model with Ray Train: workers, process group, checkpoints in the workspace, resume after failures."""

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
from jobs.training.worker import BAD_BATCH, MAX_CHECKPOINTS, RUNS, Assignment, Train, checkpoint_names, run_on_rank
from showcases.errors import ConfigError, ShowcasesError
from showcases.storage.artifacts import Place, Workspace
from showcases.system_errors import system_error_in
from showcases.training import TrainingJob

MAX_FAILURES = 2  # of workers during training, and separately during startup
RAY_STATE = "checkpoint_manager_snapshot.json"  # Ray Train's list of a run's checkpoints
METRICS_FILE = "metrics.json"

Job = TrainingJob[Any, Any]


def train(
    context: StepContext, job: Job, train_on_rank: Train, prepare: Callable[[Job], Job] = lambda job: job
) -> dict[str, float]:
    """Train a job's model on N processes with Ray Train, and copy it to the job's place.

    An interrupted run resumes from its last readable checkpoint, unless the step is forced. An existing model from the
    same config and inputs is reused.

    Args:
        job: its place and fingerprint name the run.
        train_on_rank: called on every rank with the job and the rank's session.
        prepare: adds to the job what must exist before training, e.g. examples.

    Returns:
        The last metrics reported.

    Raises:
        ShowcasesError: workers failed repeatedly, or the loss became NaN or infinite.
    """
    workspace, name = context.workspace, job.name
    existing = finished_model(workspace, job.fingerprint, job.place)
    if existing is not None:
        context.say(f"{name}: already trained")
        context.warn_of_chance(name, existing, job.chance_causes)
        return existing
    job = prepare(job)
    run = f"{name}-{job.fingerprint}"
    if context.config.force:
        workspace.remove(RUNS, run)
    workspace.remove(RUNS, run, BAD_BATCH)  # left by the previous attempt
    drop_unreadable_state(workspace, run)
    tracking = (context.tracker.uri, context.tracker.run_id)
    trainer = new_trainer(Assignment(job, train_on_rank, run, tracking, f"{name}/"), context.config.cluster)
    try:
        result = fit(trainer, context.say)
    except ray.train.TrainingFailedError as error:
        raise system_error_in(error) or ShowcasesError(
            f"training {name} failed: {reason(error)}. Its checkpoints are in {workspace.path(RUNS, run)}; run the "
            "step again with the same config to resume from the last one, or with --force true to start over"
        ) from error
    stop_at_bad_batch(workspace, run)
    if result.checkpoint is None:
        raise ShowcasesError(f"training {name} ended without a checkpoint")
    metrics = dict(result.metrics or {})
    with result.checkpoint.as_directory() as folder:
        save_model(Path(folder) / "model", workspace, metrics, job.fingerprint, job.place)
    workspace.remove(RUNS, run)
    context.warn_of_chance(name, metrics, job.chance_causes)
    return metrics


def new_trainer(
    assignment: Assignment,
    cluster: ClusterConfig,
    max_failures: int = MAX_FAILURES,
    checkpoints: int = MAX_CHECKPOINTS,
    callbacks: Sequence[Any] = (),
) -> TorchTrainer:
    """Ray Train's trainer for one assignment."""
    workspace = assignment.workspace
    return TorchTrainer(
        partial(run_on_rank, assignment),
        scaling_config=scaling(cluster),
        torch_config=ProcessGroup(timeout_s=cluster.collective_timeout_s),
        run_config=RunConfig(
            name=assignment.run,
            storage_path=workspace.path(RUNS),
            storage_filesystem=workspace.filesystem,
            failure_config=FailureConfig(max_failures=max_failures),
            checkpoint_config=CheckpointConfig(num_to_keep=checkpoints),
            callbacks=list(callbacks),
        ),
    )


def fit(trainer: TorchTrainer, say: Callable[[str], None]) -> ray.train.Result:
    """Train, with retries if workers fail to start together; Ray Train only retries failures during training.

    If a node is lost during startup, the other workers see connection errors before Ray detects the loss.
    """
    for _ in range(MAX_FAILURES):
        try:
            return trainer.fit()
        except ray.train.ControllerError as error:
            say(f"the workers failed to start together: {reason(error)}; restarting them")
    return trainer.fit()


def reason(error: Exception) -> str:
    """The error of the first failed rank: the last line of its stack trace."""
    failures = getattr(error, "worker_failures", {})
    trace = str(failures[min(failures)]) if failures else str(error)
    return next((line.strip() for line in reversed(trace.splitlines()) if line.strip()), type(error).__name__)


def drop_unreadable_state(workspace: Workspace, run: str) -> None:
    """Delete Ray Train's list of a run's checkpoints if Ray Train couldn't read it; the checkpoints stay.

    That is the case if it is from another Ray version, truncated, or lists a missing checkpoint.
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
        ShowcasesError: the loss became NaN or infinite; the ranks have saved their examples.
    """
    folder = workspace.path(RUNS, run, BAD_BATCH)
    found = workspace.filesystem.get_file_info(FileSelector(folder, allow_not_found=True))
    records = [json.loads(workspace.read_bytes(RUNS, run, BAD_BATCH, info.base_name)) for info in found]
    if records:
        worst = next((each for each in records if each["loss"] in ("nan", "inf", "-inf")), records[0])
        raise ShowcasesError(
            f"training stopped: the loss is {worst['loss']} at epoch {worst['epoch'] + 1}, step {worst['step'] + 1}. "
            f"The examples of that batch are in {folder}, beside the last good checkpoint if there is one; lower lr, "
            "or check those examples"
        )


def scaling(cluster: ClusterConfig) -> ScalingConfig:
    """Ray Train's scaling config."""
    return ScalingConfig(num_workers=cluster.workers, use_gpu=cluster.gpu, resources_per_worker=per_worker(cluster))


def per_worker(cluster: ClusterConfig) -> dict[str, float]:
    """Resources of a training worker."""
    return {"CPU": cluster.cpus_per_worker, **({"GPU": 1} if cluster.gpu else {})}


def trainings_at_once(cluster: ClusterConfig, resources: dict[str, float], driver_cpu: float = 0.0) -> int:
    """How many trainings fit in parallel; Ray accounts only for the starting process, not for its workers.

    Args:
        resources: of the whole cluster, e.g. {"CPU": 16, "GPU": 2}.
        driver_cpu: CPUs of the process that waits for the workers.

    Raises:
        ConfigError: not even one fits.
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
    """Metrics of the model at a place, if it is from the same config and inputs."""
    found = workspace.find_json(*place, METRICS_FILE) or {}
    return found["metrics"] if found.get("fingerprint") == fingerprint else None


def save_model(folder: Path, workspace: Workspace, metrics: dict[str, float], fingerprint: str, place: Place) -> None:
    """Copy a checkpoint's model folder to its place, its metrics last."""
    with tempfile.TemporaryDirectory() as temporary:
        model = Path(temporary) / "model"
        shutil.copytree(folder, model)
        workspace.upload(model, *place)
    workspace.write_json({"fingerprint": fingerprint, "metrics": metrics}, *place, METRICS_FILE)
