"""Runs a command and watches its memory: its own high-water mark, and the sum over it and all its descendants.

The sum is of proportional set sizes (a page that n processes share counts 1/n in each), read from Linux's /proc a few
times a second, so a peak shorter than that may be missed; the process' own mark is the kernel's and exact.
"""

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MIB = 2**20


@dataclass(frozen=True)
class Watched:
    """What became of a command.

    Attributes:
        seconds: wall clock, from start to end.
        own_peak: bytes, resident, of the process itself.
        tree_peak: bytes, of it and its descendants together.
        child_peak: bytes, resident, of the largest descendant.
        output: what it printed to stdout and stderr.
    """

    code: int
    seconds: float
    own_peak: int
    tree_peak: int
    child_peak: int
    output: str


def watch(command: Sequence[str], log: Path, every: float = 0.2, **options: object) -> Watched:
    """Run a command to its end.

    Args:
        log: file for its output.
        every: seconds between two looks.
        options: of subprocess.Popen, such as cwd and env.
    """
    own = tree = child = 0
    started = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)  # type: ignore[call-overload]
        while process.poll() is None:
            below = descendants(process.pid)
            own = max(own, _kib(process.pid, "status", "VmHWM"))
            child = max([child, *(_kib(pid, "status", "VmHWM") for pid in below)])
            tree = max(tree, sum(_kib(pid, "smaps_rollup", "Pss") for pid in (process.pid, *below)))
            time.sleep(every)
    seconds = time.perf_counter() - started
    text = log.read_text(errors="replace")
    return Watched(process.returncode, seconds, own * 1024, max(tree, own) * 1024, child * 1024, text)


def descendants(pid: int) -> list[int]:
    """Children of a process, their children, and so on, as far as they live."""
    found, todo = [], [pid]
    while todo:
        for task in Path(f"/proc/{todo.pop()}/task").glob("*/children"):
            children = [int(child) for child in _read(task).split()]
            found += children
            todo += children
    return found


def resident(pid: int) -> int:
    """Bytes that it holds in memory now; 0 when it has ended."""
    return _kib(pid, "status", "VmRSS") * 1024


def _kib(pid: int, file: str, name: str) -> int:
    """A size in KiB from one of the process' files; 0 when it has ended."""
    lines = _read(Path(f"/proc/{pid}/{file}")).splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
