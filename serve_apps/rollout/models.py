"""From the registry to folders: versions of models, pinned, and the parts of a workspace that they must fit."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlparse

import mlflow
from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from serve_apps.args import ShowcaseArgs
from showcases.bundle import SERVED_TOGETHER, BundleSpec
from showcases.catalog import Catalog, located
from showcases.clip import ClipEncoder
from showcases.distillation import PairClassifier
from showcases.errors import ModelError
from showcases.storage.embeddings import require_one_space
from showcases.tracking_db import sqlite_file

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # MLflow's codes for no such model, no such alias


class RegistryAwayError(ModelError):
    """MLflow does not answer: what is registered can't be known."""


@dataclass(frozen=True)
class ModelRef:
    """A registered version, pinned: every replica loads the same one."""

    name: str
    version: str
    alias: str
    source: str  # URI of its artifact folder
    registry_uri: str

    def by(self, alias: str) -> "ModelRef":
        """The same version, chosen by another alias."""
        return replace(self, alias=alias)

    def download(self, to: Path | None = None) -> Path:
        """Its folder on this machine: the artifact folder itself where that is local.

        Args:
            to: an empty folder for what comes from elsewhere; without it MLflow makes one, which stays.
        """
        return self._artifact(self.source, to)

    def read(self, file: str) -> str:
        """A text file of its folder, without the weights.

        Raises:
            ModelError: it can't be had.
        """
        try:
            with tempfile.TemporaryDirectory() as folder:
                return self._artifact(f"{self.source}/{file}", Path(folder)).read_text(encoding="utf-8")
        except (MlflowException, OSError) as error:
            raise ModelError(f"{self}: {self.source}/{file} can't be had: {error}") from error

    def embedding_space(self) -> str:
        """From its config.json.

        Raises:
            ModelError: the artifact can't be had, or has no such file.
        """
        try:
            return str(json.loads(self.read("config.json"))["embedding_space"])
        except (KeyError, ValueError) as error:
            raise ModelError(f"{self}: no embedding_space in {self.source}/config.json: {error}") from error

    def _artifact(self, uri: str, to: Path | None) -> Path:
        local = to is None or urlparse(uri).scheme in ("", "file")
        _be_brief()
        return Path(
            mlflow.artifacts.download_artifacts(
                artifact_uri=uri, dst_path=None if local else str(to), tracking_uri=self.registry_uri
            )
        )

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"


@dataclass(frozen=True)
class Bundle:
    """The pair that is served, and the space in which all parts meet.

    Attributes:
        registered: the bundle's own version; none where the two models' own aliases made the pair.
    """

    selector: ModelRef
    generator: ModelRef
    embedding_space: str
    registered: ModelRef | None = None

    def __str__(self) -> str:
        pair = f"{self.selector}, {self.generator}"
        return f"{self.registered} ({pair})" if self.registered else pair


@dataclass(frozen=True)
class Parts:
    """What a pair must fit: embedding spaces of what stands in the workspace, and digests of the manifests."""

    catalog: str
    encoder: str
    classifier: str
    clip_digest: str
    classifier_digest: str

    @staticmethod
    def of(args: ShowcaseArgs) -> "Parts":
        """
        Raises:
            CatalogError: there is no catalog.
            ArtifactError: there is no encoder, or no classifier.
        """
        digests = [
            open_catalog(args).embedding_space,
            load_encoder(args).model_id,
            load_classifier(args).embedding_space,
        ]
        return Parts(*digests, *(args.workspace.require(name).digest for name in ("clip", "classifier")))

    def joined(self, selector: ModelRef, generator: ModelRef) -> Bundle:
        """The pair, checked.

        Raises:
            ModelError: it was trained in another embedding space.
        """
        spaces = {"the catalog": self.catalog, "the encoder": self.encoder, "the classifier": self.classifier}
        pair = {str(ref): ref.embedding_space() for ref in (selector, generator)}
        return Bundle(selector, generator, require_one_space(spaces | pair, SERVED_TOGETHER))

    def joined_by(self, spec: BundleSpec, registered: ModelRef) -> Bundle:
        """The pair of a registered bundle, checked.

        Raises:
            ModelError: it was made with other parts, or does not exist.
        """
        spec.require_parts(self.clip_digest, self.classifier_digest, str(registered))
        uri, alias = registered.registry_uri, registered.alias
        pair = [find_version(one.name, one.version, uri).by(alias) for one in (spec.selector, spec.generator)]
        return replace(self.joined(*pair), registered=registered)


def client(registry_uri: str) -> MlflowClient:
    """
    Raises:
        RegistryAwayError: its file is not there; MLflow would make an empty one.
    """
    _be_brief()
    file = sqlite_file(registry_uri)
    if file is not None and not file.exists():
        raise RegistryAwayError(f"{registry_uri}: no such file; jobs.pipeline trains and registers models")
    return MlflowClient(registry_uri, registry_uri)


def _be_brief() -> None:
    """A server that is away is found out in seconds, MLflow's own patience is minutes; and no progress bars."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def find(name: str, alias: str, registry_uri: str) -> ModelRef:
    """The version of a registered model that has the alias.

    Raises:
        ModelError: there is none.
        RegistryAwayError: MLflow does not answer.
    """
    missing = (
        f"no version of {name} has the alias {alias} in the registry; jobs.train_selector and jobs.train_generator "
        "register the models, run jobs.pipeline"
    )
    with _asking(registry_uri, missing):
        return _ref(client(registry_uri).get_model_version_by_alias(name, alias), alias, registry_uri)


def find_version(name: str, version: str, registry_uri: str) -> ModelRef:
    """A version by its number.

    Raises:
        ModelError: there is none.
        RegistryAwayError: MLflow does not answer.
    """
    with _asking(registry_uri, f"no version {version} of {name}"):
        return _ref(client(registry_uri).get_model_version(name, version), "", registry_uri)


@contextlib.contextmanager
def _asking(registry_uri: str, missing: str) -> Iterator[None]:
    """What MLflow's refusals mean: that something is `missing`, or that MLflow is away."""
    try:
        yield
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise RegistryAwayError(f"{registry_uri}: MLflow does not answer: {error}") from error
        raise ModelError(f"{registry_uri}: {missing} ({error})") from error


def _ref(found: ModelVersion, alias: str, registry_uri: str) -> ModelRef:
    return ModelRef(str(found.name), str(found.version), alias, str(found.source), registry_uri)


def open_catalog(args: ShowcaseArgs) -> Catalog:
    """The workspace's catalog."""
    return Catalog.open(*located(args.workspace), keep_bytes=args.catalog_keep_bytes)


def load_encoder(args: ShowcaseArgs, device: str = "cpu") -> ClipEncoder:
    """The workspace's CLIP on a torch device."""
    args.workspace.require("clip")
    return args.workspace.load(partial(ClipEncoder.from_pretrained, device=device), "clip")


def load_classifier(args: ShowcaseArgs, device: str = "cpu") -> PairClassifier:
    """The workspace's classifier of (sentence, photo) pairs on a torch device."""
    args.workspace.require("classifier")
    return args.workspace.load(PairClassifier.from_pretrained, "classifier").to(device)
