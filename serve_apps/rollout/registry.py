"""Resolves the bundles to serve from the registry, with a fallback to the last served one if it is down."""

import contextlib
import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mlflow.exceptions import MlflowException

from serve_apps.args import ShowcaseArgs
from serve_apps.rollout.models import ABSENT, Bundle, ModelRef, Parts, RegistryAwayError, client, find, find_version
from showcases.bundle import BUNDLE_FILE, BundleSpec
from showcases.errors import ModelError

logger = logging.getLogger("ray.serve")
LAST_SERVED = "_served"  # folder under the workspace root; no pipeline step reads it
LAST_FILE = "last.json"
ROLLED_BACK = "rolled_back"  # tag of a bundle's version: reason of its rollback
SERVED_BY_MLFLOW = ("mlflow-artifacts:", "http:", "https:", "runs:", "models:")  # unavailable if MLflow is down


@dataclass(frozen=True)
class Found:
    """The bundles that the aliases refer to.

    Attributes:
        refused: why the candidate can't be used.
    """

    champion: Bundle
    candidate: Bundle | None = None
    refused: str | None = None


class Registry:
    """Reads aliases; all methods block.

    Args:
        parts: the loaded artifacts that a pair must match, even if the workspace has changed since.
    """

    def __init__(self, args: ShowcaseArgs, parts: Parts) -> None:
        self._args, self._parts = args, parts
        self._made: dict[tuple[ModelRef, ...], Bundle] = {}  # versions are immutable, so check each once

    def look(self) -> Found:
        """Champion and candidate, after checking that they match `parts`.

        Raises:
            RegistryAwayError: MLflow doesn't respond.
            ModelError: there is no champion, or it doesn't match.
        """
        name, alias = self._args.rollout.bundle, self._args.alias
        aliases = self._aliases(name)
        if alias not in aliases:
            return Found(self._own_aliases())
        champion = self._registered(aliases[alias], alias)
        if aliases.get("candidate") in (None, aliases[alias]) or alias == "candidate":
            return Found(champion)
        try:
            return Found(champion, self._candidate(aliases["candidate"]))
        except RegistryAwayError:
            raise
        except ModelError as error:
            return Found(champion, None, str(error))

    def remember_rollback(self, bundle: ModelRef, reason: str) -> None:
        """Tag the version, so that no gateway uses it as a candidate again."""
        client(bundle.registry_uri).set_model_version_tag(bundle.name, bundle.version, ROLLED_BACK, reason)

    def _aliases(self, name: str) -> dict[str, str]:
        """Versions by alias; empty if the model isn't registered."""
        uri = self._args.registry_uri
        try:
            return {alias: str(version) for alias, version in client(uri).get_registered_model(name).aliases.items()}
        except MlflowException as error:
            if error.error_code in ABSENT:
                return {}
            raise RegistryAwayError(f"{uri}: MLflow doesn't respond: {error}") from error

    def _own_aliases(self) -> Bundle:
        """The two models by their own aliases, if no bundle has been promoted."""
        uri, alias = self._args.registry_uri, self._args.alias
        pair = find(self._args.selector, alias, uri), find(self._args.generator, alias, uri)
        if pair not in self._made:
            self._made[pair] = self._parts.joined(*pair)
        return self._made[pair]

    def _candidate(self, version: str) -> Bundle | None:
        uri, name = self._args.registry_uri, self._args.rollout.bundle
        reason = client(uri).get_model_version(name, version).tags.get(ROLLED_BACK)
        if reason:
            raise ModelError(f"{name} version {version} was rolled back: {reason}")
        return self._registered(version, "candidate")

    def _registered(self, version: str, alias: str) -> Bundle:
        ref = find_version(self._args.rollout.bundle, version, self._args.registry_uri).by(alias)
        if (ref,) not in self._made:
            spec = BundleSpec.from_json(ref.read(BUNDLE_FILE), f"{ref}: {ref.source}/{BUNDLE_FILE}")
            self._made[ref,] = self._parts.joined_by(spec, ref)
        return self._made[ref,]


def resolve(args: ShowcaseArgs, parts: Parts | None = None) -> Bundle:
    """The champion; the last served bundle if MLflow is down.

    Raises:
        ModelError: a model is missing, or the parts don't match.
        CatalogError: there is no catalog.
    """
    parts = parts or Parts.of(args)
    try:
        return Registry(args, parts).look().champion
    except RegistryAwayError as error:
        previous = last_served(args, parts)
        if previous is None:
            raise
        logger.warning("%s; serving the last bundle instead: %s", error, previous)
        return previous


def keep_served(args: ShowcaseArgs, parts: Parts, bundle: Bundle) -> None:
    """Save which bundle is served, with copies of weights that only MLflow's server has.

    Saved in the workspace, since the next start may be on another machine.
    """
    workspace, pair = args.workspace, (bundle.selector, bundle.generator)
    existing = _copies(args)
    copies = {_copy_name(ref): ref.source for ref in pair if ref.source.startswith(SERVED_BY_MLFLOW)}
    for ref in pair:
        if _copy_name(ref) in copies and existing.get(_copy_name(ref)) != ref.source:
            with tempfile.TemporaryDirectory() as folder:
                workspace.upload(ref.download(Path(folder)), LAST_SERVED, _copy_name(ref))
    record = {"bundle": asdict(bundle), "parts": asdict(parts), "copies": copies}
    workspace.write_bytes(json.dumps(record, indent=2).encode(), LAST_SERVED, LAST_FILE)
    workspace.keep_only(LAST_SERVED, copies)


def last_served(args: ShowcaseArgs, parts: Parts) -> Bundle | None:
    """The bundle saved by `keep_served`, if parts and registry are the same."""
    record = _last(args)
    if record is None or record["parts"] != asdict(parts):
        return None
    plain = record["bundle"]
    refs = {role: ModelRef(**plain[role]) for role in ("selector", "generator", "registered") if plain[role]}
    if refs["selector"].registry_uri != args.registry_uri or refs["selector"].alias != args.alias:
        return None
    return Bundle(**(plain | refs))


def _last(args: ShowcaseArgs) -> dict | None:
    try:
        return dict(json.loads(args.workspace.read_bytes(LAST_SERVED, LAST_FILE)))
    except FileNotFoundError:
        return None


def _copies(args: ShowcaseArgs) -> dict[str, str]:
    """Sources of the versions copied to the workspace, by folder."""
    record = _last(args)
    return dict(record["copies"]) if record else {}


@contextlib.contextmanager
def weights(args: ShowcaseArgs, ref: ModelRef) -> Iterator[Path]:
    """Folder of a version's files inside the block: the workspace's copy if there is one, else from MLflow.

    The copy comes first, since versions are immutable and MLflow may be slow or down.
    """
    with tempfile.TemporaryDirectory() as temporary:
        if ref.source.startswith(SERVED_BY_MLFLOW) and _copies(args).get(_copy_name(ref)) == ref.source:
            yield args.workspace.download(LAST_SERVED, Path(temporary), _copy_name(ref))
        else:
            yield ref.download(Path(temporary))


def _copy_name(ref: ModelRef) -> str:
    return f"{ref.name}-{ref.version}"
