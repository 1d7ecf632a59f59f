"""The model registry: registers a run's model folder as a version with alias `candidate`, and maybe `champion`.

Separate from jobs.tracking.tracker, since it may happen long after the run, see jobs.tracking.replay.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

FINGERPRINT = "fingerprint"  # tag of a model version: hash of its config and inputs
MODEL_FOLDER = "model"  # in the run's artifacts


@dataclass(frozen=True)
class Registration:
    """A model to register, and how to compare it with the champion.

    Attributes:
        name: of the registered model.
        monitor: name of the validation metric to compare by.
        figure: its value.
        comparable: tags that must be equal for figures to be comparable. A champion with other data or another
            embedding space can't be served with this workspace, so it is replaced.
        contends: whether it becomes champion if it is better; else only `candidate`.
    """

    name: str
    monitor: str
    figure: float
    larger_is_better: bool
    tags: dict[str, str]
    comparable: tuple[str, ...] = ("validation_data",)
    contends: bool = True

    @property
    def judged_by(self) -> str:
        """Tag that holds the figure."""
        return f"metric.{self.monitor.replace('@', '_at_')}"

    def beats(self, champion: "ModelVersion") -> bool:
        """Whether it is better than the champion, or not comparable."""
        same = all(champion.tags.get(tag) == self.tags.get(tag) for tag in self.comparable)
        if not same or self.judged_by not in champion.tags:
            return True
        old = float(champion.tags[self.judged_by])
        return self.figure > old if self.larger_is_better else self.figure < old


def read_artifact(client: "MlflowClient", uri: str) -> str:
    """A text file of a run or a model version.

    Raises:
        MlflowException, OSError: it can't be read.
    """
    from mlflow.artifacts import download_artifacts

    with tempfile.TemporaryDirectory() as folder:
        path = download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=client.tracking_uri)
        return Path(path).read_text(encoding="utf-8")


def version_of(client: "MlflowClient", name: str, fingerprint: str) -> int | None:
    """The latest version with this fingerprint, if any."""
    found = client.search_model_versions(f"name = '{name}'")
    versions = [int(version.version) for version in found if version.tags.get(FINGERPRINT) == fingerprint]
    return max(versions, default=None)


def register(client: "MlflowClient", run_id: str, registration: Registration) -> tuple[int, bool]:
    """Register the run's model folder as a new version: alias `candidate`, and `champion` if it contends and wins.

    Idempotent: reuses a version of the same run and fingerprint, in case an earlier response was lost.

    Returns:
        (version, whether it became champion).
    """
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(registration.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    versions = _made_before(client, run_id, registration)
    if not versions:
        tags = {**registration.tags, registration.judged_by: repr(registration.figure)}
        source = f"{client.get_run(run_id).info.artifact_uri}/{MODEL_FOLDER}"
        made = int(client.create_model_version(registration.name, source, run_id, tags=tags).version)
        versions = _made_before(client, run_id, registration) or [made]
    first, *twins = versions  # MLflow's client retries if a response is lost
    version = str(first)
    for twin in twins:
        client.delete_model_version(registration.name, str(twin))
    client.set_registered_model_alias(registration.name, "candidate", version)
    wins = registration.contends and _wins(client, registration, version)
    if wins:
        client.set_registered_model_alias(registration.name, "champion", version)
    return int(version), wins


def _wins(client: "MlflowClient", registration: Registration, version: str) -> bool:
    champion = client.get_registered_model(registration.name).aliases.get("champion")
    if champion is None or str(champion) == version:
        return True
    return registration.beats(client.get_model_version(registration.name, str(champion)))


def _made_before(client: "MlflowClient", run_id: str, registration: Registration) -> list[int]:
    """Versions of this run and fingerprint, in order; several if a response was lost."""
    fingerprint = registration.tags.get(FINGERPRINT)
    found = client.search_model_versions(f"name = '{registration.name}'") if fingerprint else []
    same = [each for each in found if each.run_id == run_id and each.tags.get(FINGERPRINT) == fingerprint]
    return sorted(int(each.version) for each in same)


def log_to_version(client: "MlflowClient", name: str, fingerprint: str, files: str, to: str) -> int | None:
    """Upload a folder to the run of a registered version, and set the version's tag `to` to its URI.

    Returns:
        The version; None if no version has this fingerprint.
    """
    version = version_of(client, name, fingerprint)
    if version is None:
        return None
    run = str(client.get_model_version(name, str(version)).run_id)
    client.log_artifacts(run, files, to)
    uri = client.get_run(run).info.artifact_uri
    client.set_model_version_tag(name, str(version), to, f"{uri}/{to}")
    return version
