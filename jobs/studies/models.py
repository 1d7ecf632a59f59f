"""The models of the paper's studies: found where they stand, trained where they don't, as many at once as fit."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import ray

from jobs import train_generator, train_selector
from jobs.runner.config import PipelineConfig
from jobs.runner.step import Step, StepContext
from jobs.studies import baselines
from jobs.tracking.tracker import Tracker
from jobs.training.ray_train import finished_model, trainings_at_once
from jobs.training.variants import Family, model_fingerprint, train_model
from showcases.evaluation.systems import System
from showcases.storage.artifacts import Place, Workspace, variant_folder

FOLDER = "_reproduce"  # under the workspace root; no step reads it
FAMILIES: dict[str, tuple[Step, Family]] = {
    "selector": (train_selector.STEP, train_selector.FAMILY),
    "generator": (train_generator.STEP, train_generator.FAMILY),
    "baseline": (train_generator.STEP, baselines.FAMILY),
}


@dataclass(frozen=True)
class Wanted:
    """A model of a study.

    Attributes:
        system: name and seed in its table.
        kind: one of FAMILIES.
        config: of its step, of which `variant` and `seed` are trained.
        folder: of ours that it goes to, where the flow has not made it.
    """

    system: System
    kind: str
    config: Any
    variant: str
    seed: int
    folder: str

    @property
    def name(self) -> str:
        """Of the model, the same in every table that has it."""
        return f"{self.kind}-{self.folder}"


@dataclass(frozen=True)
class Study:
    """What all tables of a run share."""

    workspace: Workspace
    config: PipelineConfig
    tracker: Tracker

    def context(self, step: Step, config: PipelineConfig | None = None) -> StepContext:
        """As if `step` ran, so that models have the fingerprints that it would give them."""
        config = config or self.config
        inputs = {name: self.workspace.require(name).digest for name in step.reads} | step.inputs(config)
        return StepContext(self.workspace, config, self.tracker, step.used(config), inputs)

    def context_of(self, model: Wanted) -> StepContext:
        """As if the model's step ran with the model's config."""
        step, _ = FAMILIES[model.kind]
        return self.context(step, replace(self.config, **{step.name: model.config}))

    def fingerprint(self, model: Wanted) -> str:
        """Of all that the model is made from."""
        _, family = FAMILIES[model.kind]
        return model_fingerprint(self.context_of(model), family, model.config, model.variant, model.seed)


def make(study: Study, wanted: Sequence[Wanted]) -> dict[str, Place]:
    """Where each model stands, by its name: in the flow's artifact if the same one is there, else in ours.

    What stands nowhere is trained.
    """
    places: dict[str, Place] = {}
    missing: dict[str, list[Wanted]] = {}
    for model in {model.name: model for model in wanted}.values():
        served = (model.kind, variant_folder(model.variant, model.seed))
        own = (FOLDER, model.name)
        fingerprint = study.fingerprint(model)
        found = [place for place in (served, own) if finished_model(study.workspace, fingerprint, *place) is not None]
        places[model.name] = found[0] if found else own
        missing.setdefault(model.kind, []).extend([] if found else [model])
    for kind, models in missing.items():
        stand = sum(name.startswith(f"{kind}-") for name in places) - len(models)
        print(f"  {kind}s: {stand} stand, {len(models)} to train", flush=True)
    train_all(study, [model for models in missing.values() for model in models])
    return places


def train_all(study: Study, missing: Sequence[Wanted]) -> None:
    """Train models, as many side by side as the cluster has room for."""
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
        told = FAMILIES[ended.kind][1].told(figure)
        minutes, left = (time.perf_counter() - started) / 60, len(waiting) + len(running)
        print(f"  {ended.name}: {told} ({minutes:.0f} min, {left} to go)", flush=True)


@ray.remote(num_cpus=0, max_retries=0)
def train_apart(study: Study, model: Wanted) -> float:
    """Train one model from a process of its own; what it is judged by."""
    _, family = FAMILIES[model.kind]
    context = study.context_of(model)
    metrics = train_model(context, family, model.config, model.variant, model.seed, FOLDER, model.name)
    return metrics[f"best_{family.monitor}"]
