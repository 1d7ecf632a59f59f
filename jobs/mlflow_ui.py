"""Starts MLflow's UI for a workspace: runs, metrics and registered models.

python -m jobs.mlflow_ui --root WORKSPACE [--port 5000]
"""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence

from jobs.runner.exits import exit_on_error
from showcases.errors import ConfigError
from showcases.tracking_db import database_file, database_uri, is_own


def show_command(root: str, uri: str) -> str:
    """The command or URL that shows the runs of a workspace."""
    if uri.startswith(("http://", "https://")):
        return uri
    if is_own(root, uri):
        return f"python -m jobs.mlflow_ui --root {shlex.quote(root)}"
    return f"mlflow ui --workers 1 --backend-store-uri {shlex.quote(uri)}"


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the UI until Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs.mlflow_ui", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", default="workspace", help="workspace: a folder or s3://bucket/prefix")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", default=5000, type=int, help="port to listen on")
    options = parser.parse_args(argv)
    with exit_on_error():
        file = database_file(options.root)
        if not file.exists():
            raise ConfigError(f"{file}: no such file, so no runs yet; run `make demo` or jobs.pipeline first")
        uri = database_uri(options.root)
    # MLflow's default of four workers can start so slowly on a loaded machine that they are killed repeatedly.
    command = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", "--backend-store-uri", uri]
    os.execv(sys.executable, [*command, "--host", options.host, "--port", str(options.port)])


if __name__ == "__main__":
    main()
