"""What `jobs.submit` sends to a cluster: the code as jobs/runtime_env.yaml names it, and how large that is."""

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from ray._private.ray_constants import get_runtime_env_default_excludes
from ray._private.runtime_env import packaging

from jobs.runner.cluster import ROOT
from showcases.errors import ConfigError

LIMIT = packaging.GCS_STORAGE_MAX_SIZE  # bytes of a package; Ray finds out only after it has packed and sent it
SHOWN = 5  # of the largest folders
QUIET = logging.getLogger("jobs.submission.package")


def runtime_env(root: Path = ROOT) -> dict[str, Any]:
    """The runtime environment of a job, with the working folder as an absolute path.

    Raises:
        ConfigError: there is no checkout to send.
    """
    file = root / "jobs" / "runtime_env.yaml"
    if not (root / "pyproject.toml").is_file() or not file.is_file():
        raise ConfigError(
            f"{root} is no checkout of Showcases, whose code a job needs; clone the repository and install it with "
            "`pip install -e`"
        )
    return {**yaml.safe_load(file.read_text()), "working_dir": str(root)}


def sizes(environment: dict[str, Any]) -> Counter[str]:
    """Bytes that would be sent, by folder at most two deep, as Ray itself chooses files (.gitignore counts)."""
    folder = Path(environment["working_dir"])
    names = [*get_runtime_env_default_excludes(), *environment.get("excludes", [])]
    found: Counter[str] = Counter()

    def note(path: Path) -> None:
        if path.is_file():
            parts = path.relative_to(folder).parts
            found["/".join(parts[: min(2, len(parts) - 1)]) or "."] += path.stat().st_size

    excludes = [packaging._get_excludes(folder, names)]
    packaging._dir_travel(folder, excludes, note, include_gitignore=True, logger=QUIET)
    return found


def check_size(environment: dict[str, Any], limit: int = LIMIT) -> str:
    """A line that says what is sent.

    Raises:
        ConfigError: it is more than Ray takes.
    """
    found = sizes(environment)
    total = sum(found.values())
    largest = ", ".join(f"{name}/ {megabytes(size)}" for name, size in found.most_common(SHOWN))
    if total >= limit:
        raise ConfigError(
            f"{environment['working_dir']}: {megabytes(total)} would be sent with the job, Ray takes less than "
            f"{megabytes(limit)}. The largest: {largest}. Code is enough: name data and workspaces in .gitignore, or "
            "under `excludes` in jobs/runtime_env.yaml, and put what the job reads where the cluster reaches it (S3)"
        )
    return f"sending {megabytes(total)} of code (the largest: {largest})"


def megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
