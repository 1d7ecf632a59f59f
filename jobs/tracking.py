"""MLflow: one parent run for a pipeline, a child run a step; models in the registry.

MLflow takes a second to import: it is imported on first use, so that workers that log nothing don't wait for it.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from showcases.artifacts import Manifest
from showcases.object_store import MAX_ATTEMPTS, parse_root

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from jobs.config import PipelineConfig

PARENT_TAG = "mlflow.parentRunId"
FINGERPRINT = "fingerprint"  # tag of a model version: of the config and inputs that made it


@dataclass(frozen=True)
class TrackingConfig:
    """Where runs and models are tracked.

    Args:
        uri: of the MLflow tracking server; none keeps a sqlite file beside the workspace's artifacts, in the working
            folder where the workspace is on S3.
        experiment: name of the MLflow experiment.
    """

    uri: str | None = None
    experiment: str = "showcases"


def tracking_uri(config: "PipelineConfig") -> str:
    """The tracking URI; by default sqlite in the workspace (in the working folder where that is on S3)."""
    if config.tracking.uri:
        return config.tracking.uri
    folder = Path.cwd() if "://" in config.root else Path(config.root).expanduser().resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}"


def key_of(name: str) -> str:
    """A name that MLflow takes: f1@3 becomes f1_at_3."""
    return name.replace("@", "_at_")


class Tracker:
    """Logs to one MLflow run, by explicit URI and run id, so that it also works on a worker."""

    def __init__(self, uri: str, run_id: str) -> None:
        self.uri, self.run_id = uri, run_id

    @property
    def client(self) -> "MlflowClient":
        return _client(self.uri)

    def log_metrics(self, metrics: dict[str, float], step: int = 0) -> None:
        for name, value in metrics.items():
            self.client.log_metric(self.run_id, key_of(name), float(value), step=step)

    def log_params(self, params: dict[str, Any]) -> None:
        for name, value in _flat(params).items():
            self.client.log_param(self.run_id, name, str(value)[:500])

    def log_folder(self, folder: Path, name: str) -> None:
        self.client.log_artifacts(self.run_id, str(folder), name)

    def log_manifest(self, manifest: Manifest) -> None:
        self.client.log_text(self.run_id, manifest.to_json(), f"manifests/{manifest.artifact}.json")
        counts = {f"rows.{k}": v for k, v in manifest.rows.items()}
        counts |= {f"failures.{k}": v for k, v in manifest.failures.items()}
        figures = {k: v for k, v in _flat(manifest.metrics).items() if isinstance(v, int | float)}
        prefixed = {f"{manifest.artifact}.{k}": float(v) for k, v in (counts | figures).items()}
        self.log_metrics(prefixed | {"seconds": manifest.seconds})


@contextlib.contextmanager
def pipeline_run(config: "PipelineConfig") -> Iterator[str]:
    """The parent run of a pipeline; yields its id."""
    with _run(config, "pipeline", None) as tracker:
        tracker.log_params({"root": config.root, "seed": config.seed})
        yield tracker.run_id


@contextlib.contextmanager
def step_run(name: str, config: "PipelineConfig", params: dict[str, Any], parent: str | None) -> Iterator[Tracker]:
    """A step's run, below `parent` if there is one."""
    with _run(config, name, parent) as tracker:
        tracker.log_params(params)
        yield tracker


@contextlib.contextmanager
def _run(config: "PipelineConfig", name: str, parent: str | None) -> Iterator[Tracker]:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    uri = tracking_uri(config)
    if not uri.startswith(("http://", "https://")):
        _point_at_endpoint(config.root)
    client = _client(uri)
    experiment = client.get_experiment_by_name(config.tracking.experiment)
    if experiment is None:
        location = _artifact_location(config)
        experiment_id = client.create_experiment(config.tracking.experiment, artifact_location=location)
    else:
        experiment_id = experiment.experiment_id
    tags = {PARENT_TAG: parent} if parent else {}
    run = client.create_run(experiment_id, run_name=name, tags=tags)
    try:
        yield Tracker(uri, run.info.run_id)
    except BaseException as error:
        client.set_tag(run.info.run_id, "error", str(error)[:5000])
        client.set_terminated(run.info.run_id, "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    client.set_terminated(run.info.run_id, "FINISHED")


def _client(uri: str) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(uri, uri)


def _artifact_location(config: "PipelineConfig") -> str | None:
    """Beside the workspace's artifacts; a tracking server decides for itself."""
    if tracking_uri(config).startswith(("http://", "https://")):
        return None
    if config.root.startswith("s3://"):
        return f"s3://{parse_root(config.root).path}/mlflow"
    if "://" in config.root:
        return config.root.split("?")[0].rstrip("/") + "/mlflow"
    return str(Path(config.root).expanduser().resolve() / "mlflow")


def _point_at_endpoint(root: str) -> None:
    """MLflow reaches S3 by boto3, which knows nothing of what the root says: tell it; the rest is the AWS chain's."""
    if not root.startswith("s3://"):
        return
    place = parse_root(root)
    if place.endpoint:
        os.environ["MLFLOW_S3_ENDPOINT_URL"] = place.endpoint
    if place.region:
        os.environ["AWS_DEFAULT_REGION"] = place.region
    if place.access_key and place.secret_key:
        os.environ |= {"AWS_ACCESS_KEY_ID": place.access_key, "AWS_SECRET_ACCESS_KEY": place.secret_key}
        os.environ.pop("AWS_SESSION_TOKEN", None)  # of another credential
    os.environ.setdefault("AWS_RETRY_MODE", "standard")
    os.environ.setdefault("AWS_MAX_ATTEMPTS", str(MAX_ATTEMPTS))


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = json.dumps(value) if isinstance(value, list | tuple) else value
    return flat


def registered_version(tracker: Tracker, name: str, fingerprint: str) -> int | None:
    """The latest version of a registered model that has this fingerprint, if there is one."""
    found = tracker.client.search_model_versions(f"name = '{name}'")
    versions = [int(version.version) for version in found if version.tags.get(FINGERPRINT) == fingerprint]
    return max(versions, default=None)


def log_to_version(tracker: Tracker, name: str, version: int, files: Sequence[Path], folder: str) -> None:
    """Files into the run that a registered version came from; the version's tag `folder` says where they lie."""
    run = str(tracker.client.get_model_version(name, str(version)).run_id)
    for file in files:
        tracker.client.log_artifact(run, str(file), folder)
    uri = tracker.client.get_run(run).info.artifact_uri
    tracker.client.set_model_version_tag(name, str(version), folder, f"{uri}/{folder}")


def register(
    tracker: Tracker,
    name: str,
    folder: Path,
    metrics: dict[str, float],
    *,
    monitor: str,
    larger_is_better: bool,
    tags: dict[str, str],
    comparable: tuple[str, ...] = ("validation_data",),
) -> tuple[int, bool]:
    """Register a model folder as a new version: alias `candidate`, and `champion` if it beats the present one.

    Args:
        metrics: validation figures; `monitor` among them decides.
        comparable: tags that must agree for two figures to be compared. A champion measured on other data, or in
            another embedding space, can't be compared and could not be served with this workspace: it is replaced.

    Returns:
        (version, whether it became champion).
    """
    from mlflow.exceptions import MlflowException

    client = tracker.client
    tracker.log_folder(folder, "model")
    with contextlib.suppress(MlflowException):
        client.create_registered_model(name)
    run = client.get_run(tracker.run_id)
    all_tags = {**tags, f"metric.{key_of(monitor)}": repr(float(metrics[monitor]))}
    made = client.create_model_version(name, f"{run.info.artifact_uri}/model", tracker.run_id, tags=all_tags)
    client.set_registered_model_alias(name, "candidate", made.version)
    champion = None
    with contextlib.suppress(MlflowException):
        champion = client.get_model_version_by_alias(name, "champion")
    wins = True
    judged = f"metric.{key_of(monitor)}"  # a champion that was judged by another metric can't be compared
    if champion and judged in champion.tags and all(champion.tags.get(tag) == tags.get(tag) for tag in comparable):
        old, new = float(champion.tags[judged]), float(metrics[monitor])
        wins = new > old if larger_is_better else new < old
    if wins:
        client.set_registered_model_alias(name, "champion", made.version)
    return int(made.version), wins
