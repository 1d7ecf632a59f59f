"""Send to MLflow what waits in a workspace, from when MLflow was away. Every step begins with this, too.

python -m jobs.resend --root WORKSPACE [--tracking-uri URI]
"""

import argparse
from collections.abc import Sequence

from jobs.runner.exits import exit_on_error
from jobs.tracking.leftovers import send_left
from showcases.storage.artifacts import Workspace


def main(argv: Sequence[str] | None = None) -> None:
    """Send, and say how much is left: with some left the exit code is 1."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs.resend", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", default="workspace", help="workspace: a folder or s3://bucket/prefix")
    parser.add_argument("--tracking-uri", help="of MLflow; by default the one that each run was meant for")
    parser.add_argument("--all", action="store_true", help="also what dead processes on other machines left")
    options = parser.parse_args(argv)
    with exit_on_error():
        sent, left = send_left(Workspace(options.root), options.tracking_uri, options.all)
    print(f"{sent} sent, {left} left")
    if left:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
