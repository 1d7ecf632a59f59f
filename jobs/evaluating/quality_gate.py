"""Is a pair of models worse than the one that is served? Judged by scores on the test set, kept with the versions."""

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

SCORES = "scores"  # folder in the run of a version, and the version's tag that says where it lies
FORCE = "or promote it all the same with --force"


def log_scores(context: StepContext, artifact: str, scores: Mapping[Place, Scores]) -> None:
    """Keep scores with the registered version of each model, where it has one.

    Args:
        artifact: selector or generator.
        scores: by where a model lies in the workspace.
    """
    for place, found in scores.items():
        trained = context.workspace.find_json(*place, METRICS_FILE)
        if trained is None:  # put there by hand: no job trained it, and none registered it
            continue
        name, files = f"showcases-{artifact}", {SCORES_FILE: found.to_json().encode()}
        version = tracking.log_to_version(context.tracker, name, trained["fingerprint"], files, SCORES)
        if version is not None:
            context.say(
                f"scores of {len(found.examples)} test examples logged with showcases-{artifact} version {version}"
            )


def selector_scores(context: StepContext, ranked: Sequence[Ranked]) -> dict[Place, Scores]:
    """Hits of each trained selector, by where it lies."""
    config, workspace = context.config.evaluate, context.workspace
    setting = {"test set": workspace.require("gest_s1").digest, "protocol": config.protocol, "k": str(config.k)}
    return {
        ("selector", variant_folder(entry.name, entry.seed)): Scores.of(
            setting, list(entry.chosen), {"f1": entry.figures.statistics.get("f1")}
        )
        for entry in ranked
        if entry.chosen  # the rankers that are not trained have none
    }


def generator_scores(
    context: StepContext, examples: Sequence[Example], systems: Mapping[System, Mapping[str, Figure]]
) -> dict[Place, Scores]:
    """Matches and fit of each generator's texts, by where it lies."""
    setting = {"test set": context.workspace.require("gest_s2").digest, "protocol": context.config.evaluate.protocol}
    names = [example.review_id for example in examples]
    return {
        ("generator", variant_folder(variant, seed)): Scores.of(
            setting, names, {name: figures[name].statistic for name in ("BLEU-1", "CLIP-Align")}
        )
        for (variant, seed), figures in systems.items()
        if variant != GROUND_TRUTH
    }


class NoWorse:
    """Refuses a pair of which one model is worse than the one in its place now.

    Worse is a model of which a figure's whole 95 % interval of the difference lies below 0.

    Args:
        present: the pair that is served; a role without a model has nothing to be compared with.
        space: the embedding space of that pair; one of another space could not be served with this workspace.
    """

    def __init__(self, client: "MlflowClient", present: Mapping[str, Pinned | None], space: str | None) -> None:
        self.client, self.present, self.space = client, present, space

    def __call__(self, spec: BundleSpec) -> None:
        """
        Raises:
            ModelError: a model is worse, or can't be compared for lack of scores.
        """
        for role, new in (("selector", spec.selector), ("generator", spec.generator)):
            old = self.present.get(role)
            if old is None or old == new:
                continue
            if self.space is not None and self.space != spec.embedding_space:
                print(f"{new}: not compared with version {old.version}, which is of another embedding space")
                continue
            self._compare(new, old)

    def _compare(self, new: Pinned, old: Pinned) -> None:
        ours, theirs = self._scores(new), self._scores(old)
        differing = [name for name in ours.setting if ours.setting[name] != theirs.setting.get(name)]
        if differing:
            raise ModelError(
                f"{new} and version {old.version} were not measured on the same test set ({', '.join(differing)} "
                f"differ): they can't be compared. Evaluate both on the same one, {FORCE}"
            )
        examples, found = compare(ours, theirs)
        if not found:
            raise ModelError(f"{new} and version {old.version} have no figure in common to compare, {FORCE}")
        print(f"{new} less version {old.version}, {examples} test examples: {'; '.join(told(found))}")
        worse = [figure for figure, difference in found.items() if difference.high < 0]
        if worse:
            raise ModelError(f"{new} is worse than version {old.version} by {', '.join(worse)}: keep that, {FORCE}")

    def _scores(self, pinned: Pinned) -> Scores:
        uri = self.client.get_model_version(pinned.name, pinned.version).tags.get(SCORES)
        if uri is None:
            raise ModelError(
                f"{pinned} has no scores on the test set to compare it by: run jobs.evaluate in the workspace that "
                f"trained it, {FORCE}"
            )
        return Scores.from_json(read_artifact(self.client, f"{uri}/{SCORES_FILE}"), uri)


def told(found: Mapping[str, Difference]) -> Iterator[str]:
    """Each figure's difference, times 100, for a person."""
    for figure, difference in found.items():
        low, high = 100 * difference.low, 100 * difference.high
        yield f"{figure} {100 * difference.value:+.2f} (95 % {low:+.2f} to {high:+.2f}, p {difference.p:.3f})"


def champion_of(client: "MlflowClient", name: str) -> str | None:
    """The version that has the alias `champion`, if one has."""
    from mlflow.exceptions import MlflowException

    try:
        found = client.get_registered_model(name).aliases.get("champion")
    except MlflowException as error:
        if not is_refused(error):
            raise
        return None
    return None if found is None else str(found)


def present_pair(
    client: "MlflowClient", bundle: str, models: Mapping[str, str]
) -> tuple[dict[str, Pinned | None], str | None]:
    """What is served now: the champion bundle's models, without one the models that are champions themselves.

    Args:
        models: name of the registered model by role.

    Returns:
        (the models by role, their embedding space; none where it is not known).
    """
    version = champion_of(client, bundle)
    if version is None:
        champions = {role: champion_of(client, name) for role, name in models.items()}
        return {role: Pinned(models[role], found) if found else None for role, found in champions.items()}, None
    tags = client.get_model_version(bundle, version).tags
    return {role: Pinned.parse(tags[role]) for role in models}, tags["embedding_space"]
