"""distill and build_gest on made-up corpora of two sizes: time and memory must grow no faster than the corpus.

    python -m benchmarks.speed.distill [--reviews 200000] [--partition_mib 256]

Each step runs as its job does, in a process of its own; the first figure of a column is for half the reviews.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.harness import parse, print_line
from benchmarks.made_up import MadeUp, write_workspace
from benchmarks.processes import MIB, Watched, watch


def run_step(name: str, root: str, partition_mib: int) -> None:
    """In the child: one step on a workspace."""
    from jobs import build_gest, distill
    from jobs.distilling import partitioning
    from jobs.runner import cluster
    from jobs.runner.config import PipelineConfig
    from jobs.runner.execute import execute
    from showcases.storage.artifacts import Workspace

    partitioning.PARTITION_BYTES = partition_mib * 2**20
    config = PipelineConfig(root=root)
    step = {"distill": distill, "build_gest": build_gest}[name].STEP
    if name == "distill":
        with cluster.connected(config.cluster):
            execute(step, Workspace(root), config)
    else:
        execute(step, Workspace(root), config)


def measure(name: str, root: Path, partition_mib: int) -> Watched:
    command = [sys.executable, "-m", "benchmarks.speed.distill", "--step", name, "--root", str(root)]
    watched = watch([*command, "--partition_mib", str(partition_mib)], root / f"{name}.log")
    if watched.code:
        raise SystemExit(f"{name} failed:\n{watched.output}")
    return watched


def figures(root: Path, artifact: str) -> dict:
    return json.loads((root / artifact / "manifest.json").read_text())


def report(folder: Path, reviews: int, partition_mib: int) -> None:
    """Make both corpora, run both steps on each, print a table and the line."""
    seconds: dict[str, list[float]] = {"distill": [], "build_gest": []}
    print(f"{'reviews':>9}{'photos':>9}{'pairs':>10}  {'step':11}{'seconds':>8}{'process, MiB':>13}{'all, MiB':>9}")
    for size in (reviews // 2, reviews):
        root = folder / str(size)
        rows = write_workspace(str(root), replace(MadeUp(), reviews=size))
        for name in seconds:
            watched = measure(name, root, partition_mib)
            artifact = "alignments" if name == "distill" else "gest_s1"
            seconds[name].append(figures(root, artifact)["seconds"])
            print(
                f"{size:>9,}{rows['photos']:>9,}{rows['pairs']:>10,}  {name:11}{seconds[name][-1]:>8.1f}"
                f"{watched.own_peak / MIB:>13,.0f}{watched.tree_peak / MIB:>9,.0f}"
            )
        moved = figures(root, "alignments")["metrics"]
        if figures(root, "alignments")["rows"]["pairs"] != rows["pairs"]:
            raise SystemExit(
                f"distill scored {figures(root, 'alignments')['rows']['pairs']} pairs, not {rows['pairs']}"
            )
        print(f"  {rows['sentences'] + rows['photos']:,} vectors; {json.dumps(moved)}")
    half, whole = seconds["build_gest"]
    print_line("distill", 2 * half / whole, whole, 2 * half, "s for build_gest, against twice the time for half")


def main() -> None:
    arguments = parse(
        __doc__,
        reviews=(MadeUp.reviews, "of the larger corpus"),
        partition_mib=(256, "of vectors a partition"),
        step=(str, argparse.SUPPRESS),
        root=(str, argparse.SUPPRESS),
    )
    if arguments.step:
        run_step(arguments.step, arguments.root, arguments.partition_mib)
        return
    with tempfile.TemporaryDirectory() as folder:
        report(Path(folder), arguments.reviews, arguments.partition_mib)


if __name__ == "__main__":
    main()
