"""Promotes a pair of registered models, with their encoder and Phi, as one bundle under one alias.

    python -m jobs.promote --root WORKSPACE                                the two models' champions, as champion
    python -m jobs.promote --root WORKSPACE --generator 4 --alias candidate   for a share of the traffic first
    python -m jobs.promote --root WORKSPACE --generator 4 --force             even if it is worse, or can't be compared
    python -m jobs.promote --root WORKSPACE --bundle 2                     roll back to an existing bundle

A pair becomes champion only if neither model is worse than the one it replaces, by a paired bootstrap of the test
scores that jobs.evaluate logs with each version. Candidates, and bundles that were champion before, are not checked. A
running service follows the alias by itself.
"""

import argparse
import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from jobs.evaluating.quality_gate import NotWorse, current_pair
from jobs.runner.config import PipelineConfig
from jobs.runner.exits import exit_on_error
from jobs.tracking import tracker as tracking
from jobs.tracking.config import TrackingConfig, tracking_uri
from jobs.tracking.registry import read_artifact
from showcases.bundle import BUNDLE_FILE, SERVED_TOGETHER, BundleSpec, Pinned
from showcases.errors import ModelError
from showcases.storage.artifacts import Workspace
from showcases.storage.embeddings import require_one_space

if TYPE_CHECKING:
    from mlflow import MlflowClient

NAME = "showcases-bundle"
MODELS = {"selector": "showcases-selector", "generator": "showcases-generator"}
ALIASES = ("champion", "candidate")
SERVED = "was_champion"  # tag of a bundle
QualityGate = Callable[[BundleSpec], None]


def no_gate(spec: BundleSpec) -> None:
    """The gate that accepts every bundle."""


def promote(
    config: PipelineConfig,
    alias: str = "champion",
    versions: dict[str, str] | None = None,
    gate: QualityGate | None = None,
) -> int:
    """Create a bundle of the pair and assign the alias.

    Args:
        versions: by role, selector and generator; default: the model's champion.
        gate: called before anything is written; raises a ModelError if the bundle isn't good enough. By default a new
            champion must not be worse than the current one.

    Returns:
        The bundle's version.

    Raises:
        ModelError: a version doesn't exist, embedding spaces differ, or the gate rejects the bundle.
    """
    client = _client(config)
    pair = {role: _chosen(client, name, (versions or {}).get(role)) for role, name in MODELS.items()}
    spec = _checked(config, client, pair)
    (gate or _default_gate(client, alias))(spec)
    with tracking.step_run("promote", config, {"alias": alias, **asdict(spec)}, None) as tracker:
        client.log_text(tracker.run_id, spec.to_json(), f"bundle/{BUNDLE_FILE}")
        source = f"{client.get_run(tracker.run_id).info.artifact_uri}/bundle"
        version = _register(client, source, tracker.run_id, spec)
    _assign(client, alias, str(version))
    return version


def point(config: PipelineConfig, version: str, alias: str = "champion", gate: QualityGate | None = None) -> None:
    """Assign the alias to an existing bundle; the service checks it again before loading it.

    Args:
        gate: as for `promote`; a former champion is not checked.

    Raises:
        ModelError: the bundle doesn't exist, or the gate rejects it.
    """
    from mlflow.exceptions import MlflowException

    client = _client(config)
    try:
        found = client.get_model_version(NAME, version)
    except MlflowException as error:
        raise ModelError(f"no version {version} of {NAME} in {tracking_uri(config)}: {error}") from error
    if SERVED not in found.tags:
        (gate or _default_gate(client, alias))(_spec(found.tags))
    _assign(client, alias, version)


def _default_gate(client: "MlflowClient", alias: str) -> QualityGate:
    return NotWorse(client, *current_pair(client, NAME, MODELS)) if alias == "champion" else no_gate


def _spec(tags: dict[str, str]) -> BundleSpec:
    """A bundle's spec from the tags of its version."""
    parts = (tags[name] for name in ("clip", "classifier", "embedding_space"))
    return BundleSpec(Pinned.parse(tags["selector"]), Pinned.parse(tags["generator"]), *parts)


def _assign(client: "MlflowClient", alias: str, version: str) -> None:
    client.set_registered_model_alias(NAME, alias, version)
    if alias == "champion":
        client.set_model_version_tag(NAME, version, SERVED, "yes")


def _client(config: PipelineConfig) -> "MlflowClient":
    return tracking.Tracker(tracking_uri(config), "").client


def _chosen(client: "MlflowClient", name: str, version: str | None) -> Pinned:
    from mlflow.exceptions import MlflowException

    try:
        found = (
            client.get_model_version(name, version) if version else client.get_model_version_by_alias(name, "champion")
        )
    except MlflowException as error:
        what = f"version {version}" if version else "champion"
        raise ModelError(f"{name} has no {what} ({error}); run jobs.pipeline, or set another version") from error
    return Pinned(name, str(found.version))


def _checked(config: PipelineConfig, client: "MlflowClient", pair: dict[str, Pinned]) -> BundleSpec:
    from showcases.catalog import Catalog, located
    from showcases.clip import ClipEncoder
    from showcases.distillation import PairClassifier

    workspace = Workspace(config.root)
    digests = {name: workspace.require(name).digest for name in ("clip", "classifier")}
    encoder = workspace.load(ClipEncoder.from_pretrained, "clip")
    classifier = workspace.load(PairClassifier.from_pretrained, "classifier")
    spaces = {
        "the catalog": Catalog.open(*located(workspace)).embedding_space,
        "the encoder": encoder.model_id,
        "the classifier": classifier.embedding_space,
    }
    spaces |= {str(pinned): _space_of(client, pinned) for pinned in pair.values()}
    space = require_one_space(spaces, SERVED_TOGETHER)
    return BundleSpec(pair["selector"], pair["generator"], digests["clip"], digests["classifier"], space)


def _space_of(client: "MlflowClient", pinned: Pinned) -> str:
    from mlflow.exceptions import MlflowException

    source = client.get_model_version(pinned.name, pinned.version).source
    try:
        return str(json.loads(read_artifact(client, f"{source}/config.json"))["embedding_space"])
    except (MlflowException, OSError, KeyError, ValueError) as error:
        raise ModelError(f"{pinned}: no embedding_space in {source}/config.json: {error}") from error


def _register(client: "MlflowClient", source: str, run_id: str, spec: BundleSpec) -> int:
    from mlflow.exceptions import MlflowException

    with contextlib.suppress(MlflowException):  # it exists already
        client.create_registered_model(NAME)
    tags = {role: str(getattr(spec, role)) for role in MODELS}
    tags |= {name: getattr(spec, name) for name in ("clip", "classifier", "embedding_space")}
    return int(client.create_model_version(NAME, source, run_id, tags=tags).version)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs.promote", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", default="workspace", help="workspace: a folder or s3://bucket/prefix")
    parser.add_argument("--tracking-uri", help="MLflow URI (default: the workspace's sqlite file)")
    parser.add_argument("--selector", help="version of showcases-selector (default: its champion)")
    parser.add_argument("--generator", help="version of showcases-generator (default: its champion)")
    parser.add_argument("--bundle", help="existing version of showcases-bundle, instead of a new one")
    parser.add_argument("--alias", choices=ALIASES, default="champion")
    parser.add_argument("--force", action="store_true", help="promote even if it is worse, or can't be compared")
    options = parser.parse_args(argv)
    if options.bundle and (options.selector or options.generator):
        parser.error("--bundle can't be combined with --selector or --generator")
    config = PipelineConfig(root=options.root, tracking=TrackingConfig(options.tracking_uri))
    gate = no_gate if options.force else None
    with exit_on_error():
        if options.bundle:
            version = options.bundle
            point(config, version, options.alias, gate)
        else:
            named = {role: getattr(options, role) for role in MODELS if getattr(options, role)}
            version = str(promote(config, options.alias, named, gate))
        print(f"{NAME} version {version} is {options.alias} now")


if __name__ == "__main__":
    main()
