"""The registry: a model folder in a run becomes a version, `candidate` and perhaps `champion`.

Apart from jobs.tracking.tracker, for it may be done long after the run, see jobs.tracking.replay.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

FINGERPRINT = "fingerprint"  # tag of a model version: of the config and inputs that made it
MODEL_FOLDER = "model"  # in the run's artifacts


@dataclass(frozen=True)
class Registration:
    """What is registered, and how it is compared with the present champion.

    Attributes:
        name: of the registered model.
        monitor: name of the validation figure that decides.
        figure: its value.
        comparable: tags that must agree for two figures to be compared. A champion measured on other data, or in
            another embedding space, can't be compared and could not be served with this workspace: it is replaced.
        contends: whether it becomes champion where it is better; else it is `candidate` alone.
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
        """Whether it is better than the champion, or can't be compared with it."""
        same = all(champion.tags.get(tag) == self.tags.get(tag) for tag in self.comparable)
        if not same or self.judged_by not in champion.tags:
            return True
        old = float(champion.tags[self.judged_by])
        return self.figure > old if self.larger_is_better else self.figure < old


def read_artifact(client: "MlflowClient", uri: str) -> str:
    """A text file of a run or a model version.

    Raises:
        MlflowException, OSError: it can't be had.
    """
    from mlflow.artifacts import download_artifacts

    with tempfile.TemporaryDirectory() as folder:
        path = download_artifacts(artifact_uri=uri, dst_path=folder, tracking_uri=client.tracking_uri)
        return Path(path).read_text(encoding="utf-8")


def version_of(client: "MlflowClient", name: str, fingerprint: str) -> int | None:
    """The latest version of a registered model that has this fingerprint, if there is one."""
    found = client.search_model_versions(f"name = '{name}'")
    versions = [int(version.version) for version in found if version.tags.get(FINGERPRINT) == fingerprint]
    return max(versions, default=None)


def register(client: "MlflowClient", run_id: str, asked: Registration) -> tuple[int, bool]:
    """Register the run's model folder as a new version: alias `candidate`, and `champion` if it contends and wins.

    A version of the same run and fingerprint, of an attempt whose answer was lost, is taken for it.

    Returns:
        (version, whether it became champion).
    """
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(asked.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    versions = _made_before(client, run_id, asked)
    if not versions:
        tags = {**asked.tags, asked.judged_by: repr(asked.figure)}
        source = f"{client.get_run(run_id).info.artifact_uri}/{MODEL_FOLDER}"
        made = int(client.create_model_version(asked.name, source, run_id, tags=tags).version)
        versions = _made_before(client, run_id, asked) or [made]
    first, *twins = versions  # MLflow's client repeats a request by itself if the answer is lost
    version = str(first)
    for twin in twins:
        client.delete_model_version(asked.name, str(twin))
    client.set_registered_model_alias(asked.name, "candidate", version)
    wins = asked.contends and _wins(client, asked, version)
    if wins:
        client.set_registered_model_alias(asked.name, "champion", version)
    return int(version), wins


def _wins(client: "MlflowClient", asked: Registration, version: str) -> bool:
    champion = client.get_registered_model(asked.name).aliases.get("champion")
    if champion is None or str(champion) == version:
        return True
    return asked.beats(client.get_model_version(asked.name, str(champion)))


def _made_before(client: "MlflowClient", run_id: str, asked: Registration) -> list[int]:
    """Versions of this run and fingerprint, the first one first; more than one where an answer was lost."""
    fingerprint = asked.tags.get(FINGERPRINT)
    found = client.search_model_versions(f"name = '{asked.name}'") if fingerprint else []
    same = [each for each in found if each.run_id == run_id and each.tags.get(FINGERPRINT) == fingerprint]
    return sorted(int(each.version) for each in same)


def log_to_version(client: "MlflowClient", name: str, fingerprint: str, files: str, to: str) -> int | None:
    """Files of a folder into the run that a registered version came from; its tag `to` says where they lie.

    Returns:
        The version; none where no version has this fingerprint.
    """
    version = version_of(client, name, fingerprint)
    if version is None:
        return None
    run = str(client.get_model_version(name, str(version)).run_id)
    client.log_artifacts(run, files, to)
    uri = client.get_run(run).info.artifact_uri
    client.set_model_version_tag(name, str(version), to, f"{uri}/{to}")
    return version
