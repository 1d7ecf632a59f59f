"""The code package that `jobs.submit` uploads, by jobs/runtime_env.yaml, and its size."""

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from ray._private.ray_constants import get_runtime_env_default_excludes
from ray._private.runtime_env import packaging

from jobs.runner.cluster import ROOT
from showcases.errors import ConfigError

LIMIT = packaging.GCS_STORAGE_MAX_SIZE  # max bytes of a package; Ray checks only after the upload
SHOWN = 5  # number of largest folders shown
QUIET = logging.getLogger("jobs.submission.package")


def runtime_env(root: Path = ROOT) -> dict[str, Any]:
    """The runtime environment of a job, with an absolute working directory.

    Raises:
        ConfigError: this is not a checkout.
    """
    file = root / "jobs" / "runtime_env.yaml"
    if not (root / "pyproject.toml").is_file() or not file.is_file():
        raise ConfigError(
            f"{root} is not a checkout of Showcases, which jobs need; clone the repository and install it with "
            "`pip install -e`"
        )
    return {**yaml.safe_load(file.read_text()), "working_dir": str(root)}


def sizes(environment: dict[str, Any]) -> Counter[str]:
    """Bytes to upload by folder (two levels), with Ray's own file selection (respects .gitignore)."""
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
    """Describe the upload in one line.

    Raises:
        ConfigError: it exceeds Ray's limit.
    """
    found = sizes(environment)
    total = sum(found.values())
    largest = ", ".join(f"{name}/ {megabytes(size)}" for name, size in found.most_common(SHOWN))
    if total >= limit:
        raise ConfigError(
            f"{environment['working_dir']}: {megabytes(total)} would be uploaded, Ray's limit is "
            f"{megabytes(limit)}. Largest: {largest}. Exclude data and workspaces by .gitignore or by `excludes` in "
            "jobs/runtime_env.yaml, and store the job's input where the cluster can read it (S3)"
        )
    return f"uploading {megabytes(total)} of code (largest: {largest})"


def megabytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
