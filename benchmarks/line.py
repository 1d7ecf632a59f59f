"""The last line of every benchmark: one JSON object that a script can compare from run to run."""

import json
import os
from pathlib import Path


def print_line(
    name: str,
    ratio: float | None,
    ours: float,
    rival: float | None,
    unit: str,
    threads: int | None = None,
    **more: float | str | None,
) -> None:
    """Print {"name", "ratio", "ours", "rival", "unit", "cpu", "threads"} as one line of JSON.

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


def cores() -> int:
    """Cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_name() -> str:
    """The processor's model as the kernel names it; the architecture where it names none."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), os.uname().machine)


def _short(value: float | None) -> float | None:
    """Four significant digits."""
    return None if value is None else float(f"{value:.4g}")
