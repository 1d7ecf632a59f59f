"""The models of the paper's studies: existing ones are reused, others trained, in parallel as resources allow."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ray

from jobs.runner.config import PipelineConfig
from jobs.runner.step import Step, StepContext
from jobs.tracking.tracker import Tracker
from jobs.training.ray_train import finished_model, trainings_at_once
from jobs.training.variants import Family, train_model
from showcases.evaluation.systems import System
from showcases.storage.artifacts import Place, Workspace, variant_folder
from showcases.training import TrainingJob

FOLDER = "_reproduce"  # under the workspace root; no step reads it


@dataclass(frozen=True)
class Wanted:
    """A model of a study.

    Attributes:
        system: name and seed in its table.
        family: of the model.
        config: of its step, of which `variant` and `seed` are trained.
        folder: output folder, if the pipeline hasn't trained it.
    """

    system: System
    family: Family[Any, Any]
    config: Any
    variant: str
    seed: int
    folder: str

    @property
    def name(self) -> str:
        """Name of the model, the same in every table."""
        return f"{self.family.artifact}-{self.folder}"


@dataclass(frozen=True)
class Study:
    """Shared state of a run's tables."""

    workspace: Workspace
    config: PipelineConfig
    tracker: Tracker

    def context(self, step: Step) -> StepContext:
        """The context of `step`, so that models get the same fingerprints."""
        inputs = {name: self.workspace.require(name).digest for name in step.reads} | step.inputs(self.config)
        return StepContext(self.workspace, self.config, self.tracker, step.used(self.config), inputs)

    def job(self, model: Wanted) -> TrainingJob[Any, Any]:
        """The training job of a model."""
        context = self.context(model.family.step)
        return model.family.job(context, model.config, model.variant, model.seed, (FOLDER, model.name))


def make(study: Study, wanted: Sequence[Wanted]) -> dict[str, Place]:
    """The folder of each model by name: the pipeline's if it has the same model, else the study's own.

    Trains models that exist in neither.
    """
    places: dict[str, Place] = {}
    missing: list[Wanted] = []
    for model in {model.name: model for model in wanted}.values():
        job = study.job(model)
        served = (model.family.artifact, variant_folder(model.variant, model.seed))
        found = [place for place in (served, job.place) if finished_model(study.workspace, job.fingerprint, place)]
        places[model.name] = found[0] if found else job.place
        missing += [] if found else [model]
    for artifact in dict.fromkeys(model.family.artifact for model in wanted):
        waiting = sum(model.family.artifact == artifact for model in missing)
        existing = sum(name.startswith(f"{artifact}-") for name in places) - waiting
        print(f"  {artifact}s: {existing} found, {waiting} to train", flush=True)
    train_all(study, missing)
    return places


def train_all(study: Study, missing: Sequence[Wanted]) -> None:
    """Train models in parallel, as many as fit on the cluster."""
    if not missing:
        return
    at_once = trainings_at_once(study.config.cluster, ray.cluster_resources())
    waiting = list(missing)
    running: dict[Any, Wanted] = {}
    started = time.perf_counter()
    while waiting or running:
        while waiting and len(running) < at_once:
            model = waiting.pop(0)
            running[train_apart.remote(study, model)] = model
        [done], _ = ray.wait(list(running), num_returns=1)
        ended = running.pop(done)
        try:
            figure = ray.get(done)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        figure_text = ended.family.describe(figure)
        minutes, left = (time.perf_counter() - started) / 60, len(waiting) + len(running)
        print(f"  {ended.name}: {figure_text} ({minutes:.0f} min, {left} to go)", flush=True)


@ray.remote(num_cpus=0, max_retries=0)
def train_apart(study: Study, model: Wanted) -> float:
    """Train one model in its own process; returns its objective."""
    context = study.context(model.family.step)
    return train_model(context, model.family, study.job(model))[model.family.objective]
