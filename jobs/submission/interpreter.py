"""Lets a job run under the Python that runs its cluster, though the cluster's PATH leads to another or to none.

A job's entrypoint is a shell command, and a head that was started by its full path (`/opt/venv/bin/ray start`) has no
virtual environment on its PATH. The process that starts the entrypoint is a Ray worker, which runs `setup` first: Ray
imports the function that jobs/runtime_env.yaml names in every worker of the job.
"""

import os
import sys
from pathlib import Path

VARIABLE = "SHOWCASES_PYTHON"  # path of the cluster's interpreter, as seen by the entrypoint
HOOK = "jobs.submission.interpreter.setup"


def setup() -> None:
    """Name this process' interpreter to its children, and put it first on their PATH."""
    if not sys.executable:
        return
    os.environ[VARIABLE] = sys.executable
    folder, path = str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)
    if path.split(os.pathsep)[0] != folder:
        os.environ["PATH"] = os.pathsep.join((folder, path))
