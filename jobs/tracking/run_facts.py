"""Facts logged with every run: user, code, libraries, input data and system metrics."""

import contextlib
import getpass
import json
import platform
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import showcases
from showcases.storage.artifacts import ARTIFACTS, Workspace

LIBRARIES = ("torch", "ray", "transformers", "open_clip_torch", "numpy", "pyarrow", "mlflow")
SAMPLE_SECONDS = 10.0  # between samples of system metrics
LONGEST_DIGEST = 36  # MLflow's limit for a dataset's digest


@cache
def environment() -> dict[str, str]:
    """Tags for code and environment; named as MLflow's UI expects."""
    tags = {"mlflow.source.name": _command(), "mlflow.source.type": "LOCAL", "python": platform.python_version()}
    with contextlib.suppress(KeyError, OSError):  # a container's user may have no name
        tags["mlflow.user"] = getpass.getuser()
    for library in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            tags[f"version.{library}"] = metadata.version(library)
    return tags | {"version.showcases": showcases.__version__} | git_state(Path(__file__).parent)


def _command() -> str:
    """The command line, as far as Python knows it."""
    module = getattr(sys.modules.get("__main__"), "__spec__", None)
    return f"python -m {module.name}" if module is not None else Path(sys.argv[0]).name


def git_state(folder: Path) -> dict[str, str]:
    """Commit, and whether the working tree differs; empty outside of a git repository."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        changed = bool(git("status", "--porcelain", "--untracked-files=no", "--", "."))
        return {"mlflow.source.git.commit": git("rev-parse", "HEAD"), "git.changed": str(changed).lower()}
    except (OSError, subprocess.SubprocessError):
        return {}


def datasets(workspace: Workspace, inputs: Mapping[str, str]) -> list[dict[str, Any]]:
    """A step's inputs as MLflow datasets: name, manifest hash and location.

    Args:
        inputs: digest by name, of an artifact's manifest or a file.
    """
    found = []
    for name, digest in inputs.items():
        manifest = workspace.manifest(name) if name in ARTIFACTS else None
        source = {"uri": name, "manifest_sha256": digest}  # relative to the workspace, which may move
        profile = json.dumps({"rows": manifest.rows, "failures": manifest.failures}) if manifest else None
        dataset: dict[str, Any] = {
            "name": name,
            "digest": digest[:LONGEST_DIGEST],
            "type": "showcases_artifact",
            "context": "input",
        }
        found.append(dataset | {"source": source, "profile": profile})
    return found


@contextlib.contextmanager
def machine_watched(log: Callable[[dict[str, float], int], None]) -> Iterator[None]:
    """Inside the block, log CPU, memory, disk, network and GPU usage every ten seconds.

    Args:
        log: (metrics, step) -> None, called from a thread.
    """
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(log, ended), name="machine", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _watch(log: Callable[[dict[str, float], int], None], ended: threading.Event) -> None:
    step = 0
    monitors: list[Any] = []
    while not ended.wait(SAMPLE_SECONDS):
        monitors = monitors or _monitors()  # imports MLflow only for runs that last long enough
        for monitor in monitors:
            monitor.collect_metrics()
            log({f"system/{name}": value for name, value in monitor.aggregate_metrics().items()}, step)
            monitor.clear_metrics()
        step += 1


def _monitors() -> list[Any]:
    """MLflow's own monitors, so that its UI shows them as system metrics."""
    from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
    from mlflow.system_metrics.metrics.disk_monitor import DiskMonitor
    from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
    from mlflow.system_metrics.metrics.network_monitor import NetworkMonitor

    found = [CPUMonitor(), DiskMonitor(), NetworkMonitor()]
    with contextlib.suppress(Exception):  # no GPU, or no library to query it
        found.append(GPUMonitor())
    return found
