"""Ray Train for every model: workers, process group, checkpoints in the workspace, resume after any death."""

import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
import ray.train
import ray.train.collective
from pyarrow.fs import FileSelector, FileType
from ray.train import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer

from jobs.runner.cluster import ClusterConfig
from jobs.runner.step import StepContext
from jobs.tracking.tracker import Tracker
from jobs.training.process_group import ProcessGroup
from showcases.errors import CheckpointError, ConfigError, ShowcasesError
from showcases.storage.artifacts import Workspace
from showcases.system_errors import system_error_in
from showcases.training import Report, chance_warning

RUNS = "_runs"  # unfinished training, under the workspace root
MAX_FAILURES = 2  # of the workers while they train, and as many while they are brought together
CHECKPOINTS_KEPT = 2  # of a run: should the last one be unreadable, the one before it is resumed from
CHECKPOINT_PREFIX = "checkpoint_"  # of Ray Train's folders in a run, whose names sort by time
RAY_STATE = "checkpoint_manager_snapshot.json"  # of a run: Ray Train's list of its checkpoints
BAD_BATCH = "bad_batch"  # folder of a run, a file a rank
METRICS_FILE = "metrics.json"
WORKER_END_SECONDS = 20.0  # for the last metrics to reach MLflow; what does not is sent later
Worker = Callable[[dict[str, Any], Report, Path | None], None]


def train(
    context: StepContext,
    name: str,
    worker: Worker,
    arguments: dict[str, Any],
    artifact: str,
    parts: tuple[str, ...],
    fingerprint: str | None = None,
    chance_causes: str = "",
) -> dict[str, float]:
    """Run `worker` on N processes with Ray Train and copy the model it ends with to the artifact.

    A run that was interrupted, by a dead worker or a dead driver, resumes from its last readable checkpoint, unless the
    step is forced; a model in the artifact from the same config and inputs is returned as it is.

    Args:
        name: of the run; unique within the step.
        worker: (arguments, report, resume_from) -> None, called on every rank with the process group set up.
        arguments: passed to `worker`; must pickle.
        parts: folder of the model within the artifact.
        fingerprint: of the config and inputs of this model; those of the step where it makes only one.
        chance_causes: what to look for if the model is no better than chance.

    Returns:
        The last metrics reported.

    Raises:
        ShowcasesError: workers failed again and again, or the loss was not finite.
    """
    workspace = context.workspace
    fingerprint = fingerprint or context.fingerprint
    standing = finished_model(workspace, fingerprint, artifact, *parts)
    if standing is not None:
        context.say(f"{name}: trained before")
        warn_of_chance(context, name, standing, chance_causes)
        return standing
    run = f"{name}-{fingerprint}"
    if context.config.force:
        remove_folder(workspace, RUNS, run)
    remove_folder(workspace, RUNS, run, BAD_BATCH)  # what stopped this run before need not stop it again
    drop_unreadable_state(workspace, run)
    trainer = TorchTrainer(
        run_on_rank,
        train_loop_config={
            "workspace": workspace,
            "run": run,
            "worker": worker,
            "arguments": arguments,
            "tracking": (context.tracker.uri, context.tracker.run_id),
            "prefix": f"{name}/",
        },
        scaling_config=scaling(context.config.cluster),
        torch_config=ProcessGroup(timeout_s=context.config.cluster.collective_timeout_s),
        run_config=RunConfig(
            name=run,
            storage_path=workspace.path(RUNS),
            storage_filesystem=workspace.filesystem,
            failure_config=FailureConfig(max_failures=MAX_FAILURES),
            checkpoint_config=CheckpointConfig(num_to_keep=CHECKPOINTS_KEPT),
        ),
    )
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
        keep_model(Path(folder) / "model", workspace, metrics, fingerprint, artifact, *parts)
    remove_folder(workspace, RUNS, run)
    warn_of_chance(context, name, metrics, chance_causes)
    return metrics


def warn_of_chance(context: StepContext, name: str, metrics: dict[str, float], causes: str) -> None:
    """Say so if a model has learned nothing: on the screen, and as a tag of the step's run in MLflow."""
    warning = chance_warning(name, metrics, causes)
    if warning is not None:
        context.say(warning)
        context.tracker.set_tags({f"warning.{name}": warning})


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


def remove_folder(workspace: Workspace, *parts: str) -> None:
    """Remove a folder of the workspace, if it exists."""
    folder = workspace.path(*parts)
    if workspace.filesystem.get_file_info(folder).type == FileType.Directory:
        workspace.filesystem.delete_dir(folder)


def drop_unreadable_state(workspace: Workspace, run: str) -> None:
    """Remove Ray Train's list of a run's checkpoints if Ray Train would fail at it; the checkpoints stay.

    It is of another version of Ray, half written, or names a checkpoint that is not there.
    """
    try:
        state = json.loads(workspace.read_bytes(RUNS, run, RAY_STATE))
        names = {each["checkpoint_dir_name"] for each in state["checkpoint_results"]}
        if state["ray_version"] == ray.__version__ and names <= set(checkpoint_names(workspace, run)):
            return
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError):
        pass
    workspace.filesystem.delete_file(workspace.path(RUNS, run, RAY_STATE))


def checkpoint_names(workspace: Workspace, run: str) -> list[str]:
    """Folders of a run's checkpoints, the newest first."""
    found = workspace.filesystem.get_file_info(FileSelector(workspace.path(RUNS, run), allow_not_found=True))
    folders = [info.base_name for info in found if info.type == FileType.Directory]
    return sorted((name for name in folders if name.startswith(CHECKPOINT_PREFIX)), reverse=True)


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


def finished_model(workspace: Workspace, fingerprint: str, artifact: str, *parts: str) -> dict[str, float] | None:
    """Metrics of the model in the artifact, if the same config and inputs made it."""
    try:
        kept = json.loads(workspace.read_bytes(artifact, *parts, METRICS_FILE))
    except FileNotFoundError:
        return None
    return kept["metrics"] if kept.get("fingerprint") == fingerprint else None


def keep_model(
    folder: Path, workspace: Workspace, metrics: dict[str, float], fingerprint: str, artifact: str, *parts: str
) -> None:
    """Copy a checkpoint's model folder to the artifact, its metrics last."""
    with tempfile.TemporaryDirectory() as temporary:
        model = Path(temporary) / "model"
        shutil.copytree(folder, model)
        workspace.upload(model, artifact, *parts)
    kept = {"fingerprint": fingerprint, "metrics": metrics}
    workspace.write_bytes(json.dumps(kept, indent=2, sort_keys=True).encode(), artifact, *parts, METRICS_FILE)


def run_on_rank(settings: dict[str, Any]) -> None:
    """What each Ray Train worker runs: restore, work, report."""
    uri, run_id = settings["tracking"]
    tracker = Tracker(uri, run_id, settings["workspace"].root)
    prefix = settings["prefix"]
    is_first = ray.train.get_context().get_world_rank() == 0

    def report(metrics: dict[str, float], checkpoint: Path | None) -> None:
        if is_first:
            print(_progress(settings["prefix"].rstrip("/"), metrics), flush=True)
            if float(metrics.get("epoch", 0)).is_integer():  # MLflow's steps are whole
                tracker.log_metrics({prefix + k: v for k, v in metrics.items()}, step=int(metrics.get("epoch", 0)))
        saved = Checkpoint.from_directory(str(checkpoint)) if checkpoint is not None else None
        ray.train.report(metrics, checkpoint=saved)
        # Only the first rank uploads. The others wait here, where a slow store is not taken for a lost node, and not
        # in a collective of torch, which has a timeout.
        ray.train.collective.barrier()

    from showcases.training.loop import LossError  # here: the driver needs no torch

    try:
        work_from_last_checkpoint(settings, report)
    except LossError as error:
        keep_bad_batch(settings["workspace"], settings["run"], ray.train.get_context().get_world_rank(), error)
    finally:
        tracker.spool.close(WORKER_END_SECONDS)


def work_from_last_checkpoint(settings: dict[str, Any], report: Report) -> None:
    """Work from the last checkpoint; from the one before it, if that can't be read.

    Raises:
        CheckpointError: there are checkpoints, and none can be read.
    """
    candidates = checkpoints_to_try(settings)
    if not candidates:
        settings["worker"](settings["arguments"], report, None)
        return
    failures: list[str] = []
    for candidate in candidates:
        with candidate.as_directory() as folder:
            ray.train.collective.barrier()  # a rank that downloads slowly is not lost, either
            try:
                settings["worker"](settings["arguments"], report, Path(folder))
                return
            except CheckpointError as error:  # on all ranks: see showcases.training.loop
                failures.append(str(error).replace(Path(folder).name, Path(candidate.path).name))
        if ray.train.get_context().get_world_rank() == 0 and candidate is not candidates[-1]:
            print(f"WARNING: {failures[-1]}; resuming from the one before it", flush=True)
    raise CheckpointError(
        f"{'; '.join(failures)}. No other is left in {settings['workspace'].path(RUNS, settings['run'])}: train with "
        "the release that wrote it, or start over with --force true"
    )


def checkpoints_to_try(settings: dict[str, Any]) -> list[Checkpoint]:
    """The run's last checkpoint, the one before it, and what the run started from; the same on every rank."""
    workspace, run = settings["workspace"], settings["run"]
    last = ray.train.get_checkpoint()
    names = checkpoint_names(workspace, run)
    if last is not None:  # a newer folder is of an upload that was cut off
        names = [name for name in names if name <= Path(last.path).name]
    names = ray.train.collective.broadcast_from_rank_zero(names[:CHECKPOINTS_KEPT])
    found = [Checkpoint(workspace.path(RUNS, run, name), workspace.filesystem) for name in names]
    start = settings.get("start")
    return found if start is None else [*found, start]


def keep_bad_batch(workspace: Workspace, run: str, rank: int, error: Any) -> None:
    """A rank's part of the batch that has no finite loss. It ends the run: started again it would come to the same."""
    told = {"loss": str(error.loss), "epoch": error.epoch, "step": error.step, "examples": error.examples}
    workspace.write_bytes(json.dumps(told, indent=2).encode(), RUNS, run, BAD_BATCH, f"rank{rank}.json")


def _progress(name: str, metrics: dict[str, float]) -> str:
    shown = {key: value for key, value in metrics.items() if key.startswith(("train_loss", "val_"))}
    return f"{name}: epoch {metrics.get('epoch', 0):.4g}  " + "  ".join(f"{k} {v:.3f}" for k, v in shown.items())
