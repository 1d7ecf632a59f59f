"""From the registry to folders: which versions are served, and whether all parts speak of one embedding space."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from serve_apps.args import ShowcaseArgs
from showcases.catalog import Catalog, located
from showcases.clip import ClipEncoder
from showcases.distillation import PairClassifier
from showcases.errors import ModelError


@dataclass(frozen=True)
class ModelRef:
    """A registered version, pinned: every replica loads the same one."""

    name: str
    version: str
    alias: str
    source: str  # URI of its artifact folder
    registry_uri: str

    def download(self) -> Path:
        """Its folder on this machine: the artifact folder itself where that is local."""
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=self.source, tracking_uri=self.registry_uri))

    def embedding_space(self) -> str:
        """From its config.json, without the weights.

        Raises:
            ModelError: the artifact can't be had, or has no such file.
        """
        try:
            path = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{self.source}/config.json", tracking_uri=self.registry_uri
            )
            return str(json.loads(Path(path).read_text())["embedding_space"])
        except (MlflowException, OSError, KeyError, ValueError) as error:
            raise ModelError(f"{self}: no embedding_space in {self.source}/config.json: {error}") from error

    def __str__(self) -> str:
        return f"{self.name} version {self.version}"


@dataclass(frozen=True)
class Bundle:
    """The pair that is served, and the space in which all parts meet."""

    selector: ModelRef
    generator: ModelRef
    embedding_space: str


def find(name: str, alias: str, registry_uri: str) -> ModelRef:
    """The version of a registered model that has the alias.

    Raises:
        ModelError: there is none.
    """
    try:
        found = MlflowClient(registry_uri, registry_uri).get_model_version_by_alias(name, alias)
    except MlflowException as error:
        raise ModelError(
            f"{registry_uri}: no version of {name} has the alias {alias} ({error}); jobs.train_selector and "
            "jobs.train_generator register the models, run jobs.pipeline"
        ) from error
    return ModelRef(name, str(found.version), alias, str(found.source), registry_uri)


def resolve(args: ShowcaseArgs) -> Bundle:
    """Pin the versions, and check that models, catalog, encoder and classifier belong together.

    Raises:
        ModelError: a model is missing, or they were trained in different embedding spaces.
        CatalogError: there is no catalog.
    """
    selector = find(args.selector, args.alias, args.registry_uri)
    generator = find(args.generator, args.alias, args.registry_uri)
    space = open_catalog(args).embedding_space
    spaces = {
        "the catalog": space,
        "the encoder": load_encoder(args).model_id,
        "the classifier": load_classifier(args).embedding_space,
        str(selector): selector.embedding_space(),
        str(generator): generator.embedding_space(),
    }
    if len(set(spaces.values())) > 1:
        listed = "; ".join(f"{part}: {value!r}" for part, value in spaces.items())
        raise ModelError(
            f"these parts were made in different embedding spaces and can't be served together: {listed}. Run "
            "jobs.pipeline, which makes again what is out of date"
        )
    return Bundle(selector, generator, space)


def open_catalog(args: ShowcaseArgs) -> Catalog:
    """The workspace's catalog."""
    return Catalog.open(*located(args.workspace))


def load_encoder(args: ShowcaseArgs) -> ClipEncoder:
    """The workspace's CLIP."""
    args.workspace.require("clip")
    with tempfile.TemporaryDirectory() as folder:
        return ClipEncoder.from_pretrained(args.workspace.download("clip", Path(folder)))


def load_classifier(args: ShowcaseArgs) -> PairClassifier:
    """The workspace's classifier of (sentence, photo) pairs."""
    args.workspace.require("classifier")
    with tempfile.TemporaryDirectory() as folder:
        return PairClassifier.from_pretrained(args.workspace.download("classifier", Path(folder)))
