"""Processes and the memory that they hold: of a command while it runs, of a service by the part that each plays."""

import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression

import psutil

MIB = 2**20
TITLES = {  # what a process calls itself (ray sets it) begins with, by part
    "gateway": "ray::ServeReplica:showcases:Gateway",
    "selector": "ray::ServeReplica:showcases:Selector",
    "generator": "ray::ServeReplica:showcases:Generator",
    "proxy": "ray::ProxyActor",
    "controller": "ray::ServeController",
}
ENDINGS = {"raylet": "raylet", "gcs_server": "gcs", "-m serve_apps.run": "driver"}
WARM_UP = 0.25  # of the time watched: a heap grows to its working size at first


@dataclass(frozen=True)
class Watched:
    """What became of a command.

    Attributes:
        seconds: wall clock, from start to end.
        own_peak, child_peak: bytes, resident, of the process itself and of its largest descendant.
        tree_peak: bytes, of it and its descendants together; a page that n of them share counts 1/n in each.
        output: what it printed to stdout and stderr.
    """

    code: int
    seconds: float
    own_peak: int
    tree_peak: int
    child_peak: int
    output: str


def watch(command: Sequence[str], log: Path, every: float = 0.1, **options: object) -> Watched:
    """Run a command to its end, and look at its memory now and then; a shorter peak may be missed.

    Args:
        log: file for its output.
        every: seconds between two looks.
        options: of subprocess.Popen, such as cwd and env.
    """
    own = tree = child = 0
    started = time.perf_counter()
    with log.open("wb") as output:
        process = psutil.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)
        while process.poll() is None:
            mine, *others = [(resident(one), _shared_out(one)) for one in family(process.pid)] or [(0, 0)]
            own, tree = max(own, mine[0]), max(tree, mine[1] + sum(pss for _, pss in others))
            child = max([child, *(rss for rss, _ in others)])
            time.sleep(every)
    seconds = time.perf_counter() - started
    return Watched(process.returncode, seconds, own, max(tree, own), child, log.read_text(errors="replace"))


def family(pid: int) -> list[int]:
    """A process, its children, their children, and so on, as far as they live."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    return []


def resident(pid: int) -> int:
    """Bytes that it holds in memory now; 0 when it has ended."""
    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(pid).memory_info().rss)
    return 0


def _shared_out(pid: int) -> int:
    with contextlib.suppress(psutil.Error):
        return int(psutil.Process(pid).memory_full_info().pss)
    return 0


def command(pid: int) -> str:
    """Its command line or title; empty where it has ended."""
    with contextlib.suppress(psutil.Error):
        return " ".join(psutil.Process(pid).cmdline()).strip()
    return ""


def parts(pid: int) -> dict[int, str]:
    """By process id: the part that each descendant of `pid`, and itself, plays."""
    found = {one: part_of(command(one)) for one in family(pid)}
    return {one: part for one, part in found.items() if part}


def part_of(title: str) -> str | None:
    """The part that a process with this title plays; None for one that is not the service's."""
    for part, start in TITLES.items():
        if title.startswith(start):
            return part
    program = title.partition(" ")[0].rpartition("/")[2]
    return ENDINGS.get(program) or next((part for text, part in ENDINGS.items() if text in title), None)


@dataclass
class Samples:
    """Resident memory of the parts over time.

    Attributes:
        seen: by part: (s, MiB summed over its processes).
    """

    seen: dict[str, list[tuple[float, float]]] = field(default_factory=dict)

    def growth(self) -> dict[str, tuple[float, float]]:
        """By part: MiB at the end, and MiB/min of the straight line through what came after the warm-up."""
        return {part: (rows[-1][1], 60 * slope(rows[int(WARM_UP * len(rows)) :])) for part, rows in self.seen.items()}


@contextlib.contextmanager
def sampled(pid: int, every: float = 1.0) -> Iterator[Samples]:
    """The memory of a service's parts while the block runs, looked at by a thread."""
    samples, ended = Samples(), threading.Event()

    def look() -> None:
        while not ended.wait(every):
            totals: dict[str, float] = {}
            for one, part in parts(pid).items():
                totals[part] = totals.get(part, 0.0) + resident(one) / MIB
            for part, total in totals.items():
                samples.seen.setdefault(part, []).append((time.monotonic(), total))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()


def slope(rows: Sequence[tuple[float, float]]) -> float:
    """Of the least-squares line through (x, y); 0 where there are fewer than two."""
    return float(linear_regression(*zip(*rows, strict=True)).slope) if len(rows) > 1 else 0.0
