"""Disks that are really full or read-only, in a mount namespace of one command; root on Linux alone can make them."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

FULL = "mount -t tmpfs -o size=128k tmpfs {0} && {{ cat /dev/zero > {0}/filler 2>/dev/null; test -s {0}/filler; }}"
READ_ONLY = "mount -t tmpfs -o ro tmpfs {0}"
NO_INODES = "mount -t tmpfs -o nr_inodes=1 tmpfs {0}"
LARGE = "mount -t tmpfs -o size=256m tmpfs {0}"


@cache
def can_mount() -> bool:
    """Whether this process may mount in a namespace of its own."""
    try:
        done = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


def run_with(
    mount: str, folder: Path, command: Sequence[str], timeout: float = 240, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in a namespace where `folder` is such a disk."""
    if not can_mount():
        pytest.skip("no right to mount in a namespace: run as root on Linux")
    folder.mkdir(parents=True, exist_ok=True)
    script = f"{mount.format(shlex.quote(str(folder)))} && exec {shlex.join(command)}"
    there = {**os.environ, **environment}
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=timeout, env=there
    )


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]
