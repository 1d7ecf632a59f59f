"""MLflow tracking: a parent run per pipeline, a child run per step, and registered models.

MLflow takes a second to import, so it is imported on first use.
"""

import contextlib
import json
import shlex
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.tracking import registry, run_ends
from jobs.tracking.config import tracking_uri
from jobs.tracking.pending import send_pending
from jobs.tracking.registry import FINGERPRINT as FINGERPRINT
from jobs.tracking.registry import Registration as Registration
from jobs.tracking.replay import PENDING, Op, client_of, is_misconfigured, point_at_endpoint
from jobs.tracking.run_facts import environment, machine_watched
from jobs.tracking.spool import Spool, brief
from showcases.errors import ConfigError
from showcases.storage.artifacts import Manifest, Workspace
from showcases.tracking_db import files_uri, place

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from jobs.runner.config import PipelineConfig

REMOTE = ("http://", "https://")
LONGEST_VALUE = 5000  # max characters of a tag or param
START_SECONDS, OWN_START_SECONDS = (
    30.0,
    300.0,
)  # timeouts: a server; the workspace's own database, which may have to be created
END_SECONDS = 60.0  # to send the rest of a run


def key_of(name: str) -> str:
    """A name valid in MLflow: f1@3 becomes f1_at_3."""
    return name.replace("@", "_at_")


class Tracker:
    """Logs to one MLflow run by explicit URI and run id, so it also works on workers.

    Never waits for metrics to be sent, and never fails if MLflow does: see jobs.tracking.spool.

    Args:
        root: workspace in which unsent operations are saved.
    """

    def __init__(self, uri: str, run_id: str, root: str = "") -> None:
        self.uri, self.root = uri, root
        self.spool = Spool(uri, run_id, root)

    def __reduce__(self) -> tuple[type["Tracker"], tuple[str, str, str]]:
        """Unpickles to a tracker of the same run with its own spool."""
        return Tracker, (self.uri, self.run_id, self.root)

    @property
    def run_id(self) -> str:
        """MLflow's run id; a pending id until MLflow has created the run."""
        return self.spool.replay.known_run

    @property
    def client(self) -> "MlflowClient":
        return client_of(self.uri)

    def log_metrics(self, metrics: dict[str, float], step: int = 0) -> None:
        now = int(time.time() * 1000)
        self.spool.put(
            *(
                {"do": "metric", "key": key_of(name), "value": float(value), "time": now, "step": step}
                for name, value in metrics.items()
            )
        )

    def log_params(self, params: dict[str, Any]) -> None:
        flat = _flat(params).items()
        self.spool.put(*({"do": "param", "key": name, "value": str(value)[:LONGEST_VALUE]} for name, value in flat))

    def set_tags(self, tags: dict[str, str]) -> None:
        self.spool.put(*({"do": "tag", "key": name, "value": value[:LONGEST_VALUE]} for name, value in tags.items()))

    def log_inputs(self, datasets: list[dict[str, Any]]) -> None:
        """Log the run's inputs, see `run_facts.datasets`."""
        self.spool.put({"do": "inputs", "datasets": datasets})

    def log_folder(self, folder: Path, name: str) -> None:
        self.spool.now_or_later({"do": "files", "to": name}, folder)

    def log_files(self, files: Mapping[str, bytes], name: str) -> None:
        """Log files by path in a folder of the run."""
        with local_files(files) as folder:
            self.log_folder(folder, name)

    def log_manifest(self, manifest: Manifest) -> None:
        self.log_files({f"{manifest.artifact}.json": manifest.to_json().encode()}, "manifests")
        counts = {f"rows.{k}": v for k, v in manifest.rows.items()}
        counts |= {f"failures.{k}": v for k, v in manifest.failures.items()}
        figures = {k: v for k, v in _flat(manifest.metrics).items() if isinstance(v, int | float)}
        prefixed = {f"{manifest.artifact}.{k}": float(v) for k, v in (counts | figures).items()}
        self.log_metrics(prefixed | {"seconds": manifest.seconds})


@contextlib.contextmanager
def pipeline_run(config: "PipelineConfig", is_claimed: bool = False) -> Iterator[str]:
    """The parent run of a pipeline; yields its id. Arguments as for `step_run`."""
    root = place(config.root)
    with _run(config, f"pipeline {root.rpartition('/')[2]}", None, is_claimed=is_claimed) as tracker:
        tracker.log_params({"root": root, "seed": config.seed})
        yield tracker.run_id


@contextlib.contextmanager
def step_run(
    name: str, config: "PipelineConfig", params: dict[str, Any], parent: str | None, is_claimed: bool = False
) -> Iterator[Tracker]:
    """A step's run, below `parent` if there is one.

    Args:
        is_claimed: whether this process holds the claim on the run's artifacts. Then no other run of this name can be
            active in the workspace, and those still RUNNING become KILLED.
    """
    with _run(config, name, parent, is_claimed=is_claimed) as tracker:
        tracker.log_params(params)
        yield tracker


@contextlib.contextmanager
def continued_run(name: str, config: "PipelineConfig", run: str) -> Iterator[Tracker]:
    """Resume a run of an earlier process."""
    with _run(config, name, None, run) as tracker:
        yield tracker


@contextlib.contextmanager
def _run(
    config: "PipelineConfig", name: str, parent: str | None, run: str | None = None, is_claimed: bool = False
) -> Iterator[Tracker]:
    uri = tracking_uri(config)
    if not uri.startswith(REMOTE):
        point_at_endpoint(config.root)
    with run_ends.closed_on_sigterm():
        tracker = _new(config, uri, name, parent, run)
        status = "FINISHED"
        try:
            _settle(tracker, config, uri, name if is_claimed else None)
            with machine_watched(tracker.log_metrics):
                yield tracker
        except BaseException as error:
            if not run_ends.is_terminated():
                tracker.set_tags({"error": str(error)})
            status = "FAILED" if isinstance(error, Exception) else "KILLED"  # SystemExit: Ray Train at Ctrl-C
            raise
        finally:
            if not run_ends.end(tracker.spool, status, END_SECONDS):
                print(
                    f"  tracking: unsent data of {name} is saved in {tracker.spool.place}; the next step sends it, "
                    f"or `python -m jobs.resend --root {shlex.quote(place(config.root))}`",
                    flush=True,
                )


def begin(
    config: "PipelineConfig", name: str, parent: str | None, run: str | None = None, tags: dict[str, str] | None = None
) -> Tracker:
    """Start a run, created in MLflow asynchronously; this process must end it (`run_ends.end`).

    Args:
        run: a stable pending id (`replay.PENDING`), so that restarting creates the run only once.
        tags: in addition to those of every run.
    """
    tracker = Tracker(tracking_uri(config), run or f"{PENDING}{uuid.uuid4().hex}", config.root)
    begun: Op = {"do": "create", "name": name, "parent": parent, "start": int(time.time() * 1000)}
    own = environment() | {"seed": str(config.seed), run_ends.WORKSPACE_TAG: place(config.root)} | (tags or {})
    own[run_ends.PROCESS_TAG] = run_ends.this_process()
    location = None if tracker.uri.startswith(REMOTE) else files_uri(config.root)  # a server decides itself
    where = {"experiment": config.tracking.experiment, "location": location}
    tracker.spool.put(begun | where | {"tags": own})
    run_ends.opened(tracker.spool)
    return tracker


def resume(tracker: Tracker) -> None:
    """Mark an existing run as running in this process."""
    tracker.spool.put({"do": "continue"})
    tracker.set_tags({run_ends.PROCESS_TAG: run_ends.this_process()})


def _new(config: "PipelineConfig", uri: str, name: str, parent: str | None, run: str | None) -> Tracker:
    """Start a new run, or resume one."""
    if run is None or run.startswith(PENDING):
        tracker = begin(config, name, parent, run)
    else:
        tracker = Tracker(uri, run, config.root)
        run_ends.opened(tracker.spool)
    if run is not None:
        resume(tracker)
    return tracker


def _settle(tracker: Tracker, config: "PipelineConfig", uri: str, superseded: str | None) -> None:
    """Wait for MLflow to create the run; then send pending spools and close runs of dead processes.

    Raises:
        ConfigError: the URI or the credentials are wrong.
    """
    if tracker.spool.drain(START_SECONDS if uri.startswith(REMOTE) else OWN_START_SECONDS):
        send_pending(Workspace(config.root))
        _close_lost(tracker, config, superseded)
    failure = tracker.spool.failure
    if failure is not None and is_misconfigured(failure):
        tracker.spool.discard()
        run_ends.forget(tracker.spool)
        raise ConfigError(f"--tracking.uri {uri}: {failure}") from failure


def _close_lost(tracker: Tracker, config: "PipelineConfig", superseded: str | None) -> None:
    try:
        lost = run_ends.close_lost(
            tracker.client, config.tracking.experiment, place(config.root), tracker.run_id, superseded
        )
    except Exception as error:  # any failure of MLflow; the next run retries
        Spool.say(f"can't close runs of dead processes: {brief(error)}")
        return
    if lost:
        Spool.say(f"closed as KILLED, since their process is dead: {', '.join(lost)}")


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = json.dumps(value) if isinstance(value, list | tuple) else value
    return flat


def registered_version(tracker: Tracker, name: str, fingerprint: str) -> int | None:
    """The latest version with this fingerprint; None if there is none or MLflow is unavailable."""
    from mlflow.exceptions import MlflowException

    try:
        return registry.version_of(tracker.client, name, fingerprint)
    except MlflowException:  # unavailable: `registry.register` checks again
        return None


def log_to_version(
    tracker: Tracker, name: str, fingerprint: str, files: Mapping[str, bytes], folder: str
) -> int | None:
    """Log files to the run of a registered version; the version's tag `folder` is set to their URI.

    Returns:
        The version; None if there is none, or MLflow is unavailable and gets them later.
    """
    with local_files(files) as local:
        op = {"do": "to_version", "name": name, "fingerprint": fingerprint, "to": folder}
        found: int | None = tracker.spool.now_or_later(op, local)
    return found


@contextlib.contextmanager
def local_files(files: Mapping[str, bytes]) -> Iterator[Path]:
    """A temporary folder of these files."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            path = Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        yield Path(folder)


def register(tracker: Tracker, folder: Path, registration: Registration) -> tuple[int, bool] | None:
    """Register a model folder as a new version: alias `candidate`, and `champion` if it contends and wins.

    Returns:
        (version, whether it became champion); None if MLflow is unavailable and gets it later.
    """
    tracker.log_folder(folder, registry.MODEL_FOLDER)
    made: tuple[int, bool] | None = tracker.spool.now_or_later({"do": "register", **asdict(registration)})
    return made
