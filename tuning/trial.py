"""One trial: a short Ray Train run of the generator at one point, reported to Ray Tune and to MLflow.

Ray Tune of today takes no trainer: a trial is a function that builds one and forwards its reports by a callback.
"""

from dataclasses import dataclass, replace
from typing import Any

from ray import tune
from ray.train import CheckpointConfig, FailureConfig, RunConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.tune.integration.ray_train import TuneReportCallback

from jobs import tracking
from jobs.config import PipelineConfig
from jobs.train_generator import work
from jobs.training import COLLECTIVE_TIMEOUT_SECONDS, RUNS, run_on_rank, scaling
from showcases.artifacts import Workspace
from showcases.generator.config import MONITOR, TrainGeneratorConfig

OBJECTIVE = f"best_{MONITOR}"  # of the weights that a run would keep
DRIVER_CPU = 0.1  # of the process that waits for the workers


@dataclass(frozen=True)
class TrialSettings:
    """What all trials of a sweep share.

    Args:
        config: with an absolute root and a tracking URI, for trials run in folders of their own.
        parent: id of the sweep's MLflow run.
        name: of the sweep; names its folder of checkpoints.
        arguments: of every trial's workers: the examples, prepared once.
    """

    config: PipelineConfig
    parent: str
    name: str
    arguments: dict[str, Any]


def run_trial(point: dict[str, float], settings: TrialSettings) -> None:
    """Train at `point`; every validation is reported to Ray Tune."""
    config = settings.config
    trial = tune.get_context().get_trial_name()
    options = at_point(config.train_generator, point)
    workspace = Workspace(config.root)
    with tracking.step_run(trial, config, point, settings.parent) as tracker:
        TorchTrainer(
            run_on_rank,
            train_loop_config={
                "workspace": workspace,
                "run": f"{settings.name}-{trial}",
                "worker": work,
                "arguments": {
                    "root": config.root,
                    "config": options,
                    "variant": options.variants[0],
                    "seed": config.seed + options.seeds[0],
                    **settings.arguments,
                },
                "tracking": (tracker.uri, tracker.run_id),
                "prefix": "",
            },
            scaling_config=scaling(config.cluster),
            torch_config=TorchConfig(timeout_s=COLLECTIVE_TIMEOUT_SECONDS),
            run_config=RunConfig(
                name=f"train-{trial}",
                storage_path=workspace.path(RUNS, settings.name),
                storage_filesystem=workspace.filesystem,
                failure_config=FailureConfig(max_failures=1),
                checkpoint_config=CheckpointConfig(num_to_keep=1),
                callbacks=[TuneReportCallback()],  # type: ignore[list-item] # a Train V2 callback, as V2 wants
            ),
        ).fit()


def at_point(config: TrainGeneratorConfig, point: dict[str, Any]) -> TrainGeneratorConfig:
    """The options with the contrastive losses at a point of the search space."""
    return replace(config, contrastive=replace(config.contrastive, **point))
