"""Sends a workspace's pending tracking data to MLflow, from when MLflow was unavailable. Every step does this too.

python -m jobs.resend --root WORKSPACE [--tracking-uri URI]
"""

import argparse
from collections.abc import Sequence

from jobs.runner.exits import exit_on_error
from jobs.tracking.pending import send_pending
from showcases.storage.artifacts import Workspace


def main(argv: Sequence[str] | None = None) -> None:
    """Send and print counts; exits with 1 if some are left."""
    parser = argparse.ArgumentParser(
        prog="python -m jobs.resend", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", default="workspace", help="workspace: a folder or s3://bucket/prefix")
    parser.add_argument("--tracking-uri", help="MLflow URI (default: that of each run)")
    parser.add_argument("--all", action="store_true", help="include data of dead processes on other machines")
    options = parser.parse_args(argv)
    with exit_on_error():
        sent, left = send_pending(Workspace(options.root), options.tracking_uri, options.all)
    print(f"{sent} sent, {left} left")
    if left:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
