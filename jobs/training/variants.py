"""Trains a family of models, one per variant and seed; the first is registered and served.

Each model has its own fingerprint, so extending the list of variants or seeds trains only the new ones.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from jobs.runner.step import Step, StepContext, fingerprint_of
from jobs.tracking import mlmodel
from jobs.tracking import tracker as tracking
from jobs.training.ray_train import finished_model, train
from showcases.storage import builds
from showcases.storage.artifacts import Place, Workspace, variant_folder
from showcases.training import Session, TrainingJob
from showcases.training.job import StepConfig

Config = TypeVar("Config", bound=StepConfig)
Variant = TypeVar("Variant")


@dataclass(frozen=True)
class Family(Generic[Config, Variant]):
    """The common part of a step's models. The validation loss decides which weights and models are better.

    Args:
        step: the step that trains them.
        artifact: its name; models are registered as `showcases-<artifact>`.
        train: trains a model, called on every rank.
        prepare: adds to a job what must exist before training.
        dataset: artifact with the validation split.
        monitor: name of the validation loss; best_<monitor> is that of the best weights.
        unit: of the loss.
        chance_causes: possible causes if a model is no better than chance.
    """

    step: Step
    artifact: str
    train: Callable[[TrainingJob[Config, Variant], Session], object]
    prepare: Callable[[StepContext, TrainingJob[Config, Variant]], TrainingJob[Config, Variant]]
    dataset: str
    monitor: str
    unit: str
    chance_causes: str = ""

    @property
    def objective(self) -> str:
        """Name of the final weights' validation loss."""
        return f"best_{self.monitor}"

    def describe(self, loss: float) -> str:
        """The loss as text."""
        return f"{loss:.3f} {self.unit} on the validation split"

    def job(
        self, context: StepContext, config: Config, variant: Variant, seed: int, place: Place
    ) -> TrainingJob[Config, Variant]:
        """The job of one model. Its fingerprint is independent of the other variants and seeds."""
        own = asdict(config) | {"variants": [variant], "seeds": [seed]}  # type: ignore[call-overload] # a dataclass
        used = {"seed": context.config.seed, self.artifact: own}
        return TrainingJob(
            context.workspace,
            config,
            variant,
            seed=context.config.seed + seed,
            place=place,
            fingerprint=fingerprint_of(used, context.inputs),
            chance_causes=self.chance_causes,
        )


def train_variants(context: StepContext, family: Family[Any, Any], config: Any) -> dict[str, dict[str, float]]:
    """Train each variant and seed that isn't trained yet; register the first.

    Returns:
        The last metrics of each model, by its folder.
    """
    figures: dict[str, dict[str, float]] = {}
    for seed in config.seeds:
        for variant in config.variants:
            folder = variant_folder(variant, seed)
            job = family.job(context, config, variant, seed, (family.artifact, folder))
            metrics = train_model(context, family, job)
            best = metrics[family.objective]  # of the saved weights; other metrics are of the last epoch
            context.say(f"{variant}, seed {seed}: {family.describe(best)}")
            if not figures:
                register(context, family, job, best)
            figures[folder] = metrics
    context.workspace.keep_only(family.artifact, figures)
    return figures


def train_model(context: StepContext, family: Family[Any, Any], job: TrainingJob[Any, Any]) -> dict[str, float]:
    """Train one model unless it exists; returns its last metrics."""
    if not context.config.force:
        _reuse(context.workspace, job)
    return train(context, job, family.train, partial(family.prepare, context))


def _reuse(workspace: Workspace, job: TrainingJob[Any, Any]) -> None:
    """Copy an identical model from the current artifact into the new build."""
    earlier, (artifact, *parts) = Workspace(workspace.root), job.place
    if earlier.folder(artifact) == workspace.folder(artifact):
        return
    is_built = finished_model(workspace, job.fingerprint, job.place) is not None
    if not is_built and finished_model(earlier, job.fingerprint, job.place) is not None:
        source, target = ("/".join((each.folder(artifact), *parts)) for each in (earlier, workspace))
        builds.copy_files(workspace, source, target)


def register(
    context: StepContext, family: Family[Any, Any], job: TrainingJob[Any, Any], best: float, contends: bool = True
) -> None:
    """Register a job's model unless it is registered; it becomes champion if it contends and wins."""
    name, workspace = f"showcases-{family.artifact}", context.workspace
    version = tracking.registered_version(context.tracker, name, job.fingerprint)
    if version is not None:
        context.say(f"already registered as {name} version {version}")
        return

    def send(model: Path) -> tuple[int, bool] | None:
        mlmodel.describe(model)
        tags = {
            "validation_data": workspace.require(family.dataset).digest,
            "embedding_space": json.loads((model / "config.json").read_text())["embedding_space"],
            "variant": job.variant,
            tracking.FINGERPRINT: job.fingerprint,
        }
        comparable = ("validation_data", "embedding_space")
        registration = tracking.Registration(name, family.monitor, best, False, tags, comparable, contends)
        return tracking.register(context.tracker, model, registration)

    made = workspace.load(send, *job.place)
    if made is None:
        context.say(
            f"{name} is not registered yet: MLflow is unavailable, a copy of the model is saved in the workspace"
        )
        return
    version, wins = made
    context.say(f"registered {name} version {version}" + (", the new champion" if wins else ""))
