"""Makes a job use its cluster's Python interpreter, even if it isn't on the PATH.

A job's entrypoint is a shell command, and a head started by its full path (`/opt/venv/bin/ray start`) has no virtual
environment on its PATH. The entrypoint is started by a Ray worker, which runs `setup` first through the worker hook in
jobs/runtime_env.yaml.
"""

import os
import sys
from pathlib import Path

VARIABLE = "SHOWCASES_PYTHON"  # the cluster's interpreter, for the entrypoint
HOOK = "jobs.submission.interpreter.setup"


def setup() -> None:
    """Export this process' interpreter to child processes, and prepend it to their PATH."""
    if not sys.executable:
        return
    os.environ[VARIABLE] = sys.executable
    folder, path = str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)
    if path.split(os.pathsep)[0] != folder:
        os.environ["PATH"] = os.pathsep.join((folder, path))
