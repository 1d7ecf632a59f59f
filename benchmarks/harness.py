"""What benchmarks share: flags, clocks, made-up vectors in a workspace, and the last line of each."""

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

from showcases.storage.artifacts import Manifest, Workspace
from showcases.storage.schemas import embeddings_schema

T = TypeVar("T")
DEMO = "of `make demo`"


def parse(doc: str | None, argv: Sequence[str] | None = None, **flags: tuple[Any, str | None]) -> argparse.Namespace:
    """The flags of a benchmark.

    Args:
        doc: the module's docstring.
        flags: (default, help) by name. Its type is the default's; False makes a switch, a list takes several values, a
            type stands for no default, and (type,) for a required flag.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, (default, help_text) in flags.items():
        if default is False:
            parser.add_argument(f"--{name}", action="store_true", help=help_text)
        elif isinstance(default, type):
            parser.add_argument(f"--{name}", type=default, help=help_text)
        elif isinstance(default, tuple):
            parser.add_argument(f"--{name}", type=default[0], required=True, help=help_text)
        elif isinstance(default, list):
            parser.add_argument(f"--{name}", type=type(default[0]), nargs="+", default=default, help=help_text)
        else:
            parser.add_argument(f"--{name}", type=type(default), default=default, help=help_text)
    return parser.parse_args(argv)


def print_line(
    name: str,
    ratio: float | None,
    ours: float,
    rival: float | None,
    unit: str,
    threads: int | None = None,
    **more: float | str | None,
) -> None:
    """Print {"name", "ratio", "ours", "rival", "unit", "cpu", "threads"} as one line of JSON, for scripts.

    Args:
        name: of the benchmark, as in `python -m benchmarks.NAME`.
        ratio: how many times better ours is than the rival; above 1, ours is ahead.
        ours, rival: the two figures that were measured in this run; None for a rival that is not known.
        unit: of both.
        threads: that each side could use; none means the cores that this process may run on.
        more: further figures and facts.
    """
    figures = {"name": name, "ratio": _short(ratio), "ours": _short(ours), "rival": _short(rival), "unit": unit}
    further = {key: value if isinstance(value, str) else _short(value) for key, value in more.items()}
    print(json.dumps(figures | {"cpu": cpu_name(), "threads": threads or cores()} | further), flush=True)


def _short(value: float | None) -> float | None:
    """Four significant digits."""
    return None if value is None else float(f"{value:.4g}")


def cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_name() -> str:
    """The processor's model as the kernel names it; the architecture where it names none."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), os.uname().machine)


def median_seconds(work: Callable[[int], Any], times: int, warm_up: int = 1) -> float:
    """Of some runs of `work(number)`, after some that do not count."""
    taken = []
    for number in range(times + warm_up):
        started = time.perf_counter()
        work(number)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[warm_up:])


def each_ms(work: Callable[[Any], Any], inputs: Sequence[Any]) -> np.ndarray:
    """(n,) milliseconds that the work took on each input."""
    taken = np.empty(len(inputs))
    for number, value in enumerate(inputs):
        started = time.perf_counter()
        work(value)
        taken[number] = 1000 * (time.perf_counter() - started)
    return taken


def alone(work: Callable[..., T], *arguments: Any) -> T:
    """What the work returns in a process of its own, so that its memory is its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def peak_mib() -> float:
    """MiB that this process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """Rows scaled to length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_vectors(workspace: Workspace, artifact: str, part: str, ids: Any, vectors: np.ndarray) -> None:
    """A shard of embeddings; vectors (n, d) are stored as float16."""
    flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float16).ravel()), vectors.shape[1])
    table = pa.table([pa.array(ids), flat], schema=embeddings_schema(vectors.shape[1], "benchmark"))
    workspace.write_table(table, artifact, part)


def finish(workspace: Workspace, *artifacts: str, metrics: dict[str, Any] | None = None, **rows: int) -> None:
    """Manifests that say no more than that the artifacts are whole."""
    for name in artifacts:
        workspace.finish(Manifest(name, "benchmark", {}, {}, "0", "now", 0.0, rows, metrics=metrics or {}))


class Verdicts:
    """What a tool demands of what it measured: printed one by one, and an exit status of 1 where any does not hold."""

    def __init__(self) -> None:
        self.failed: list[str] = []

    def demand(self, holds: bool, what: str) -> None:
        """Print what was demanded, with the figures in it, and whether it holds."""
        print(f"{'ok' if holds else 'NOT SO'}: {what}", flush=True)
        if not holds:
            self.failed.append(what)

    def end(self) -> None:
        """
        Raises:
            SystemExit: with 1, where something did not hold.
        """
        if self.failed:
            raise SystemExit(1)
