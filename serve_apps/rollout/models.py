"""Pinned model versions and their files, and the workspace artifacts that they must match."""

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

ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # MLflow's codes for an unknown model or alias


class RegistryAwayError(ModelError):
    """MLflow doesn't respond."""


@dataclass(frozen=True)
class ModelRef:
    """A registered version, pinned: every replica loads the same one."""

    name: str
    version: str
    alias: str
    source: str  # URI of its artifact folder
    registry_uri: str

    def by(self, alias: str) -> "ModelRef":
        """The same version under another alias."""
        return replace(self, alias=alias)

    def download(self, to: Path | None = None) -> Path:
        """Its folder on this machine; a local artifact folder is used in place.

        Args:
            to: empty folder to download to; by default MLflow creates one and doesn't delete it.
        """
        return self._artifact(self.source, to)

    def read(self, file: str) -> str:
        """A text file of its folder, without downloading the weights.

        Raises:
            ModelError: it can't be read.
        """
        try:
            with tempfile.TemporaryDirectory() as folder:
                return self._artifact(f"{self.source}/{file}", Path(folder)).read_text(encoding="utf-8")
        except (MlflowException, OSError) as error:
            raise ModelError(f"{self}: can't read {self.source}/{file}: {error}") from error

    def embedding_space(self) -> str:
        """From its config.json.

        Raises:
            ModelError: the file is missing or can't be read.
        """
        try:
            return str(json.loads(self.read("config.json"))["embedding_space"])
        except (KeyError, ValueError) as error:
            raise ModelError(f"{self}: no embedding_space in {self.source}/config.json: {error}") from error

    def _artifact(self, uri: str, to: Path | None) -> Path:
        local = to is None or urlparse(uri).scheme in ("", "file")
        _limit_retries()
        return Path(
            mlflow.artifacts.download_artifacts(
                artifact_uri=uri, dst_path=None if local else str(to), tracking_uri=self.registry_uri
            )
        )

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"


@dataclass(frozen=True)
class Bundle:
    """A selector, a generator, and their embedding space.

    Attributes:
        registered: the bundle's version; None if the pair comes from the two models' own aliases.
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
    """What a pair must match: embedding spaces of the workspace's artifacts, and digests of their manifests."""

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
            ArtifactError: the encoder or the classifier is missing.
        """
        digests = [
            open_catalog(args).embedding_space,
            load_encoder(args).model_id,
            load_classifier(args).embedding_space,
        ]
        return Parts(*digests, *(args.workspace.require(name).digest for name in ("clip", "classifier")))

    def joined(self, selector: ModelRef, generator: ModelRef) -> Bundle:
        """The pair as a bundle, after checking the embedding spaces.

        Raises:
            ModelError: a model was trained in another embedding space.
        """
        spaces = {"the catalog": self.catalog, "the encoder": self.encoder, "the classifier": self.classifier}
        pair = {str(ref): ref.embedding_space() for ref in (selector, generator)}
        return Bundle(selector, generator, require_one_space(spaces | pair, SERVED_TOGETHER))

    def joined_by(self, spec: BundleSpec, registered: ModelRef) -> Bundle:
        """The pair of a registered bundle, after checking its parts.

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
        RegistryAwayError: the sqlite file is missing; MLflow would create an empty one.
    """
    _limit_retries()
    file = sqlite_file(registry_uri)
    if file is not None and not file.exists():
        raise RegistryAwayError(f"{registry_uri}: no such file; jobs.pipeline trains and registers models")
    return MlflowClient(registry_uri, registry_uri)


def _limit_retries() -> None:
    """Fail in seconds if MLflow is down (its default is minutes), and disable progress bars."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")


def find(name: str, alias: str, registry_uri: str) -> ModelRef:
    """The version of a registered model that has the alias.

    Raises:
        ModelError: there is none.
        RegistryAwayError: MLflow doesn't respond.
    """
    missing = (
        f"no version of {name} has the alias {alias} in the registry; jobs.train_selector and jobs.train_generator "
        "register the models, run jobs.pipeline"
    )
    with _translated_errors(registry_uri, missing):
        return _ref(client(registry_uri).get_model_version_by_alias(name, alias), alias, registry_uri)


def find_version(name: str, version: str, registry_uri: str) -> ModelRef:
    """A version by its number.

    Raises:
        ModelError: there is none.
        RegistryAwayError: MLflow doesn't respond.
    """
    with _translated_errors(registry_uri, f"no version {version} of {name}"):
        return _ref(client(registry_uri).get_model_version(name, version), "", registry_uri)


@contextlib.contextmanager
def _translated_errors(registry_uri: str, missing: str) -> Iterator[None]:
    """Translate MLflow's errors: something is `missing`, or MLflow doesn't respond."""
    try:
        yield
    except MlflowException as error:
        if error.error_code not in ABSENT:
            raise RegistryAwayError(f"{registry_uri}: MLflow doesn't respond: {error}") from error
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
