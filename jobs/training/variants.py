"""Training a family of models, one for each variant and seed; the first is the one that is served, and registered.

Each model has a fingerprint of its own, so a longer list of variants or seeds trains only what is new.
"""

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jobs.runner.step import StepContext, fingerprint_of
from jobs.tracking import mlmodel
from jobs.tracking import tracker as tracking
from jobs.training.ray_train import Worker, finished_model, train, warn_of_chance
from showcases.storage import builds
from showcases.storage.artifacts import Place, Workspace, variant_folder


@dataclass(frozen=True)
class Family:
    """What the models of one step have in common.

    Args:
        artifact: its name, and that of the models (`showcases-<artifact>`).
        worker: trains one of them on every rank.
        monitor: the validation metric that compares them; of the kept weights it is reported as best_<monitor>.
        larger_is_better: of the monitor.
        dataset: artifact that holds the validation split.
        embedding_space: of the model in the artifact's folder.
        told: the monitor's value, for a person.
        prepare: what is made before training: (context, config, variant, seed) -> more arguments of the worker.
        chance_causes: what to look for if a model is no better than chance.
    """

    artifact: str
    worker: Worker
    monitor: str
    larger_is_better: bool
    dataset: str
    embedding_space: Callable[[Workspace, Path], str]
    told: Callable[[float], str]
    prepare: Callable[[StepContext, Any, Any, int], dict[str, Any]]
    chance_causes: str = ""


def train_variants(context: StepContext, family: Family) -> dict[str, dict[str, float]]:
    """Train what does not stand yet.

    Returns:
        The last metrics of each model, by its folder.
    """
    config = getattr(context.config, f"train_{family.artifact}")
    figures: dict[str, dict[str, float]] = {}
    for seed in config.seeds:
        for variant in config.variants:
            folder = variant_folder(variant, seed)
            metrics = train_model(context, family, config, variant, seed, family.artifact, folder)
            best = metrics[f"best_{family.monitor}"]  # of the weights that are kept; the others are of the last epoch
            context.say(f"{variant}, seed {seed}: {family.told(best)}")
            if not figures:
                fingerprint = model_fingerprint(context, family, config, variant, seed)
                register(context, family, variant, (family.artifact, folder), best, fingerprint)
            figures[folder] = metrics
    context.workspace.keep_only(family.artifact, figures)
    return figures


def train_model(
    context: StepContext, family: Family, config: Any, variant: str, seed: int, artifact: str, folder: str
) -> dict[str, float]:
    """One model into a folder of an artifact, unless it stands there already.

    Args:
        config: of the step, of which `variant` and `seed` are trained.

    Returns:
        Its last metrics.
    """
    fingerprint = model_fingerprint(context, family, config, variant, seed)
    standing = finished_model(context.workspace, fingerprint, artifact, folder)
    if standing is None and not context.config.force:
        standing = reused_model(context.workspace, fingerprint, artifact, folder)
    if standing is not None:
        context.say(f"{artifact}/{folder}: trained before")
        warn_of_chance(context, f"{artifact}/{folder}", standing, family.chance_causes)
        return standing
    arguments = {
        "root": context.workspace.root,
        "config": config,
        "variant": variant,
        "seed": context.config.seed + seed,
        **family.prepare(context, config, variant, seed),
    }
    name = f"{artifact.strip('_')}-{folder}"
    return train(context, name, family.worker, arguments, artifact, (folder,), fingerprint, family.chance_causes)


def reused_model(workspace: Workspace, fingerprint: str, artifact: str, folder: str) -> dict[str, float] | None:
    """Metrics of the model in the artifact that is being replaced, once its files are in the new build as well."""
    before = Workspace(workspace.root)
    metrics = finished_model(before, fingerprint, artifact, folder)
    if metrics is not None and before.folder(artifact) != workspace.folder(artifact):
        builds.copy_files(workspace, f"{before.folder(artifact)}/{folder}", f"{workspace.folder(artifact)}/{folder}")
    return metrics


def model_fingerprint(context: StepContext, family: Family, config: Any, variant: str, seed: int) -> str:
    """Of the config and inputs of one model: which others are trained beside it makes no difference."""
    own = asdict(config) | {"variants": [variant], "seeds": [seed]}
    return fingerprint_of({**context.used, f"train_{family.artifact}": own}, context.inputs)


def register(
    context: StepContext,
    family: Family,
    variant: str,
    place: Place,
    best: float,
    fingerprint: str,
    contends: bool = True,
) -> None:
    """The model at a place goes to the registry, once; it becomes champion if it contends and wins."""
    name = f"showcases-{family.artifact}"
    standing = tracking.registered_version(context.tracker, name, fingerprint)
    if standing is not None:
        context.say(f"{name} version {standing} is this model")
        return
    workspace = context.workspace
    with tempfile.TemporaryDirectory() as temporary:
        model = workspace.download(place[0], Path(temporary) / "model", *place[1:])
        mlmodel.describe(model)
        made = tracking.register(
            context.tracker,
            name,
            model,
            {family.monitor: best},
            monitor=family.monitor,
            larger_is_better=family.larger_is_better,
            tags={
                "validation_data": workspace.require(family.dataset).digest,
                "embedding_space": family.embedding_space(workspace, model),
                "variant": variant,
                tracking.FINGERPRINT: fingerprint,
            },
            comparable=("validation_data", "embedding_space"),
            contends=contends,
        )
    if made is None:
        context.say(f"{name} is not registered yet: MLflow is away, a copy of the model waits in the workspace")
        return
    version, wins = made
    context.say(f"registered {name} version {version}" + (", the new champion" if wins else ""))
