"""Quality gate: compares a pair of models with the served one by test scores logged with their versions."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from jobs.runner.step import StepContext
from jobs.tracking import tracker as tracking
from jobs.tracking.registry import read_artifact
from jobs.tracking.replay import is_refused
from jobs.training.ray_train import METRICS_FILE
from showcases.bundle import BundleSpec, Pinned
from showcases.errors import ModelError
from showcases.evaluation.examples import Example
from showcases.evaluation.scores import SCORES_FILE, Scores, compare
from showcases.evaluation.selection import Ranked
from showcases.evaluation.systems import GROUND_TRUTH, System
from showcases.metrics.bootstrap import Difference
from showcases.metrics.text import Figure
from showcases.storage.artifacts import Place, variant_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

SCORES = "scores"  # folder in a version's run, and the version's tag with its URI
FORCE = "or promote it anyway with --force"


def log_scores(context: StepContext, artifact: str, scores: Mapping[Place, Scores]) -> None:
    """Log scores with the registered version of each model, if any.

    Args:
        artifact: selector or generator.
        scores: by the model's folder in the workspace.
    """
    for place, found in scores.items():
        trained = context.workspace.find_json(*place, METRICS_FILE)
        if trained is None:  # copied manually: neither trained nor registered here
            continue
        name, files = f"showcases-{artifact}", {SCORES_FILE: found.to_json().encode()}
        version = tracking.log_to_version(context.tracker, name, trained["fingerprint"], files, SCORES)
        if version is not None:
            context.say(
                f"scores of {len(found.examples)} test examples logged with showcases-{artifact} version {version}"
            )


def selector_scores(context: StepContext, ranked: Sequence[Ranked]) -> dict[Place, Scores]:
    """Hits of each trained selector, by folder."""
    config, workspace = context.config.evaluate, context.workspace
    setting = {"test set": workspace.require("gest_s1").digest, "protocol": config.protocol, "k": str(config.k)}
    return {
        ("selector", variant_folder(entry.name, entry.seed)): Scores.of(
            setting, list(entry.chosen), {"f1": entry.figures.statistics.get("f1")}
        )
        for entry in ranked
        if entry.chosen  # untrained rankers choose no sets
    }


def generator_scores(
    context: StepContext, examples: Sequence[Example], systems: Mapping[System, Mapping[str, Figure]]
) -> dict[Place, Scores]:
    """BLEU-1 and CLIP-Align of each generator, by folder."""
    setting = {"test set": context.workspace.require("gest_s2").digest, "protocol": context.config.evaluate.protocol}
    names = [example.review_id for example in examples]
    return {
        ("generator", variant_folder(variant, seed)): Scores.of(
            setting, names, {name: figures[name].statistic for name in ("BLEU-1", "CLIP-Align")}
        )
        for (variant, seed), figures in systems.items()
        if variant != GROUND_TRUTH
    }


class NotWorse:
    """Rejects a pair if one of its models is worse than the current one.

    Worse means that a figure's 95 % interval of the difference is entirely below 0.

    Args:
        present: the served pair by role; None skips the comparison.
        space: the embedding space of that pair; pairs of another space aren't compared.
    """

    def __init__(self, client: "MlflowClient", present: Mapping[str, Pinned | None], space: str | None) -> None:
        self.client, self.present, self.space = client, present, space

    def __call__(self, spec: BundleSpec) -> None:
        """
        Raises:
            ModelError: a model is worse, or has no comparable scores.
        """
        for role, new in (("selector", spec.selector), ("generator", spec.generator)):
            old = self.present.get(role)
            if old is None or old == new:
                continue
            if self.space is not None and self.space != spec.embedding_space:
                print(f"{new}: not compared with version {old.version}, which has another embedding space")
                continue
            self._compare(new, old)

    def _compare(self, new: Pinned, old: Pinned) -> None:
        ours, theirs = self._scores(new), self._scores(old)
        differing = [name for name in ours.setting if ours.setting[name] != theirs.setting.get(name)]
        if differing:
            raise ModelError(
                f"{new} and version {old.version} were not measured on the same test set ({', '.join(differing)} "
                f"differ), so they can't be compared. Evaluate both on the same one, {FORCE}"
            )
        examples, found = compare(ours, theirs)
        if not found:
            raise ModelError(f"{new} and version {old.version} have no metric in common; evaluate both, {FORCE}")
        print(f"{new} less version {old.version}, {examples} test examples: {'; '.join(describe(found))}")
        worse = [figure for figure, difference in found.items() if difference.high < 0]
        if worse:
            raise ModelError(f"{new} is worse than version {old.version} by {', '.join(worse)}: keep that one, {FORCE}")

    def _scores(self, pinned: Pinned) -> Scores:
        uri = self.client.get_model_version(pinned.name, pinned.version).tags.get(SCORES)
        if uri is None:
            raise ModelError(
                f"{pinned} has no test scores to compare: run jobs.evaluate in the workspace that trained it, {FORCE}"
            )
        return Scores.from_json(read_artifact(self.client, f"{uri}/{SCORES_FILE}"), uri)


def describe(found: Mapping[str, Difference]) -> Iterator[str]:
    """Each figure's difference, times 100, as text."""
    for figure, difference in found.items():
        low, high = 100 * difference.low, 100 * difference.high
        yield f"{figure} {100 * difference.value:+.2f} (95 % {low:+.2f} to {high:+.2f}, p {difference.p:.3f})"


def champion_of(client: "MlflowClient", name: str) -> str | None:
    """The version with the alias `champion`, if any."""
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_registered_model(name).aliases.get("champion")
    except MlflowException as error:
        if not is_refused(error):
            raise
        return None
    return None if found is None else str(found)


def current_pair(
    client: "MlflowClient", bundle: str, models: Mapping[str, str]
) -> tuple[dict[str, Pinned | None], str | None]:
    """The currently served pair: the champion bundle's models, or without a bundle the models' own champions.

    Args:
        models: name of the registered model by role.

    Returns:
        (models by role, their embedding space or None if unknown).
    """
    version = champion_of(client, bundle)
    if version is None:
        champions = {role: champion_of(client, name) for role, name in models.items()}
        return {role: Pinned(models[role], found) if found else None for role, found in champions.items()}, None
    tags = client.get_model_version(bundle, version).tags
    return {role: Pinned.parse(tags[role]) for role in models}, tags["embedding_space"]
