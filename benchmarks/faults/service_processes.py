"""The processes of a running service, by the part that each plays, and the memory that they hold."""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.speed.memory import MIB, descendants, resident

TITLES = {  # what a process calls itself (ray sets it) begins with, by part
    "gateway": "ray::ServeReplica:showcases:Gateway",
    "selector": "ray::ServeReplica:showcases:Selector",
    "generator": "ray::ServeReplica:showcases:Generator",
    "proxy": "ray::ProxyActor",
    "controller": "ray::ServeController",
}
ENDINGS = {"raylet": "raylet", "gcs_server": "gcs", "-m serve_apps.run": "driver"}
WARM_UP = 0.25  # of the time watched: a heap grows to its working size at first


def parts(pid: int) -> dict[int, str]:
    """By process id: the part that each descendant of `pid`, and itself, plays."""
    found = {one: part_of(command(one)) for one in (pid, *descendants(pid))}
    return {one: part for one, part in found.items() if part}


def command(pid: int) -> str:
    """Its command line or title; empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def part_of(told: str) -> str | None:
    """The part that a process with this title plays; None for one that is not the service's."""
    for part, start in TITLES.items():
        if told.startswith(start):
            return part
    program = told.partition(" ")[0].rpartition("/")[2]
    return ENDINGS.get(program) or next((part for text, part in ENDINGS.items() if text in told), None)


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


class Sampler:
    """Looks at the memory every `every` s inside a `with` block, in a thread."""

    def __init__(self, pid: int, every: float = 1.0) -> None:
        self.pid, self.every, self.samples = pid, every, Samples()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Samples:
        self._thread.start()
        return self.samples

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self.every):
            totals: dict[str, float] = {}
            for pid, part in parts(self.pid).items():
                totals[part] = totals.get(part, 0.0) + resident(pid) / MIB
            for part, total in totals.items():
                self.samples.seen.setdefault(part, []).append((time.monotonic(), total))


def slope(rows: list[tuple[float, float]]) -> float:
    """Of the least-squares line through (x, y); 0 where there are fewer than two."""
    if len(rows) < 2:
        return 0.0
    mean_x, mean_y = (sum(row[axis] for row in rows) / len(rows) for axis in (0, 1))
    spread = sum((x - mean_x) ** 2 for x, _ in rows)
    return sum((x - mean_x) * (y - mean_y) for x, y in rows) / spread
