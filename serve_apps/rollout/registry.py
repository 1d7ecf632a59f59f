"""What the registry says is to be served; and what was served last, for when the registry is away."""

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
LAST_SERVED = "_served"  # folder under the workspace root; no step of the flow reads it
LAST_FILE = "last.json"
ROLLED_BACK = "rolled_back"  # tag of a bundle's version: why it may not be a candidate any more
SERVED_BY_MLFLOW = ("mlflow-artifacts:", "http:", "https:", "runs:", "models:")  # artifacts that are away with it


@dataclass(frozen=True)
class Found:
    """What the aliases say.

    Attributes:
        refused: why the candidate that the alias names can't be taken.
    """

    champion: Bundle
    candidate: Bundle | None = None
    refused: str | None = None


class Registry:
    """Reads aliases; every method blocks.

    Args:
        parts: what a pair must fit: those that are loaded, whatever stands in the workspace by now.
    """

    def __init__(self, args: ShowcaseArgs, parts: Parts) -> None:
        self._args, self._parts = args, parts
        self._made: dict[tuple[ModelRef, ...], Bundle] = {}  # versions never change: what was checked stays so

    def look(self) -> Found:
        """Champion and candidate, checked.

        Raises:
            RegistryAwayError: MLflow does not answer.
            ModelError: there is no champion, or it does not fit.
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
        """Write it to the version's tags, so that no other gateway and no later start takes it for a candidate."""
        client(bundle.registry_uri).set_model_version_tag(bundle.name, bundle.version, ROLLED_BACK, reason)

    def _aliases(self, name: str) -> dict[str, str]:
        """Versions by alias; empty where nothing is registered by this name."""
        uri = self._args.registry_uri
        try:
            return {alias: str(version) for alias, version in client(uri).get_registered_model(name).aliases.items()}
        except MlflowException as error:
            if error.error_code in ABSENT:
                return {}
            raise RegistryAwayError(f"{uri}: MLflow does not answer: {error}") from error

    def _own_aliases(self) -> Bundle:
        """The two models by their own aliases, as long as no bundle has been promoted."""
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
    """The champion, checked; the one that was served last where MLflow is away.

    Raises:
        ModelError: a model is missing, or the parts do not belong together.
        CatalogError: there is no catalog.
    """
    parts = parts or Parts.of(args)
    try:
        return Registry(args, parts).look().champion
    except RegistryAwayError as error:
        kept = last_served(args, parts)
        if kept is None:
            raise
        logger.warning("%s; going on with what was served last: %s", error, kept)
        return kept


def keep_served(args: ShowcaseArgs, parts: Parts, bundle: Bundle) -> None:
    """Write down what is served, with copies of weights that only MLflow's server has.

    In the workspace, not on this machine's disk: the next start may be on another one.
    """
    workspace, pair = args.workspace, (bundle.selector, bundle.generator)
    held = _copies(args)
    copies = {_copy_name(ref): ref.source for ref in pair if ref.source.startswith(SERVED_BY_MLFLOW)}
    for ref in pair:
        if _copy_name(ref) in copies and held.get(_copy_name(ref)) != ref.source:
            with tempfile.TemporaryDirectory() as folder:
                workspace.upload(ref.download(Path(folder)), LAST_SERVED, _copy_name(ref))
    told = {"bundle": asdict(bundle), "parts": asdict(parts), "copies": copies}
    workspace.write_bytes(json.dumps(told, indent=2).encode(), LAST_SERVED, LAST_FILE)
    workspace.keep_only(LAST_SERVED, copies)


def last_served(args: ShowcaseArgs, parts: Parts) -> Bundle | None:
    """What `keep_served` wrote, if it was made of the same parts for the same registry."""
    told = _last(args)
    if told is None or told["parts"] != asdict(parts):
        return None
    plain = told["bundle"]
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
    """Sources of the versions whose files lie in the workspace, by the copy's folder."""
    told = _last(args)
    return dict(told["copies"]) if told else {}


@contextlib.contextmanager
def weights(args: ShowcaseArgs, ref: ModelRef) -> Iterator[Path]:
    """Folder of a version's files inside the block: the workspace's copy if there is one, or else from MLflow.

    The copy first: a version never changes, and a server that is away would be waited for.
    """
    with tempfile.TemporaryDirectory() as temporary:
        if ref.source.startswith(SERVED_BY_MLFLOW) and _copies(args).get(_copy_name(ref)) == ref.source:
            yield args.workspace.download(LAST_SERVED, Path(temporary), _copy_name(ref))
        else:
            yield ref.download(Path(temporary))


def _copy_name(ref: ModelRef) -> str:
    return f"{ref.name}-{ref.version}"
