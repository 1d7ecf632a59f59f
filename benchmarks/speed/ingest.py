"""Memory and speed of `jobs.ingest` on a large file, against pandas and pyarrow reading the same file.

    python -m benchmarks.speed.ingest --reviews image_review_all.json --size_mb 1000

The file is made of the given rows (the generated corpus' where none are given), repeated with new ids until it has the
size. Each side runs in a fresh process. The rivals, `pandas.read_json(lines=True)` and `pyarrow.json.read_json`, parse
the file into memory and stop. Ours does more: it checks every field, finds second copies of reviews and photos, cuts
texts into sentences, splits users and writes Parquet. So rows a second tell what a corpus costs, not who parses faster;
memory is what is compared: ours is flat, so at small sizes Ray's own processes, which are counted too, outweigh a
rival's table, and at large ones they don't. `work` leaves out the start of the process.
"""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import cores, parse, print_line
from benchmarks.processes import MIB, Watched, watch
from showcases.storage.artifacts import Workspace

ROOT = Path(__file__).resolve().parents[2]
GOAL_MIB = 1536  # of the driver, for the whole of GEST
RIVALS = {  # module, and how it reads the file
    "pandas": ("pandas", "pandas.read_json(sys.argv[1], lines=True)"),
    "pyarrow": ("pyarrow.json", "pyarrow.json.read_json(sys.argv[1])"),
}
PARSE = """
import sys, time, {module}
start = time.perf_counter()
table = {read}
print(len(table), time.perf_counter() - start)
"""


@dataclass(frozen=True)
class Result:
    """One side: rows read, seconds of the work itself, and what the process took."""

    name: str
    rows: int
    seconds: float
    watched: Watched

    @property
    def rate(self) -> float:
        return self.rows / self.seconds


def main() -> None:
    arguments = parse(
        __doc__,
        reviews=(Path, "rows to repeat, in GEST-raw's form; none takes the generated ones"),
        size_mb=(1000.0, "of the file, in 10^6 bytes"),
        folder=(Path, "for the file and what is made of it; none is the system's own"),
    )
    with tempfile.TemporaryDirectory(prefix="bench-ingest-", dir=arguments.folder) as name:
        folder = Path(name)
        file = folder / "image_review_all.json"
        rows = write_rows(file, source_rows(arguments.reviews), int(arguments.size_mb * 1e6))
        print(f"{file.stat().st_size / 1e6:,.0f} MB, {rows:,} rows; {cores()} cores", flush=True)
        print_header()
        ours = run_ours(file, folder)
        print_result(ours)
        rivals = [result for name in RIVALS if (result := run_rival(name, file, folder)) is not None]
    driver = ours.watched.own_peak / MIB
    print(f"driver's peak {driver:,.0f} MiB; the goal for 1 GB is under {GOAL_MIB:,} MiB")
    peers = {result.name: result for result in rivals}
    if "pandas" not in peers:
        sys.exit("pandas did not finish: nothing to compare with")
    own, rival = (result.watched.tree_peak / MIB for result in (ours, peers["pandas"]))
    print_line("ingest", rival / own, own, rival, "MiB of memory at the peak, all processes")


def source_rows(reviews: Path | None) -> list[dict[str, Any]]:
    """The rows to repeat."""
    if reviews is not None:
        with reviews.open(encoding="utf-8") as lines:
            return [json.loads(line) for line in lines if line.strip()]
    from showcases_demo import MiniConfig
    from showcases_demo.world import build_world
    from showcases_demo.writer import official_rows

    return list(official_rows(build_world(MiniConfig())))


def write_rows(path: Path, rows: list[dict[str, Any]], size: int) -> int:
    """Write copies of the rows, each copy with ids of its own, until the file has `size` bytes; returns the rows."""
    count = written = 0
    with path.open("wb") as file:
        for row in _copies(rows):
            line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
            file.write(line)
            count, written = count + 1, written + len(line)
            if written >= size:
                return count
    return count


def _copies(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    copy = 0
    while rows:
        for row in rows:
            user = int(_new_id(row["user_id"], copy)[:17], 16) % 10**20 + 10**20  # 21 digits
            pics = [_new_pic(pic, copy) for pic in row["pics"] or ()]
            business = _new_id(row["business_id"], copy)[:24]
            yield {**row, "user_id": str(user), "business_id": business, "pics": pics}
        copy += 1


def _new_id(name: str, copy: int) -> str:
    return hashlib.blake2b(f"{copy}:{name}".encode(), digest_size=20).hexdigest()


def _new_pic(pic: dict[str, Any], copy: int) -> dict[str, Any]:
    name = f"AF1Qip{_new_id(pic['id'], copy)[:38]}"
    return {"id": name, "url": [f"https://lh5.googleusercontent.com/p/{name}=w150-h150-k-no-p"]}


def run_ours(file: Path, folder: Path) -> Result:
    """`python -m jobs.ingest` as a user calls it."""
    root = folder / "workspace"
    paths = os.pathsep.join((str(ROOT / "platform"), str(ROOT)))
    environment = {"RAY_AUTH_MODE": "token", **os.environ, "PYTHONPATH": paths}
    command = [sys.executable, "-m", "jobs.ingest", "--root", str(root), "--reviews", str(file)]
    watched = watch(command, folder / "ours.log", cwd=ROOT, env=environment)
    if watched.code:
        sys.exit(f"jobs.ingest ended with {watched.code}:\n{watched.output[-4000:]}")
    metrics = Workspace(str(root)).require("reviews").metrics
    return Result("jobs.ingest", int(metrics["lines"]), float(metrics["seconds"]), watched)


def run_rival(name: str, file: Path, folder: Path) -> Result | None:
    """A rival's reading of the whole file; None, with the reason printed, where it did not finish."""
    module, read = RIVALS[name]
    code = PARSE.format(module=module, read=read)
    watched = watch([sys.executable, "-c", code, str(file)], folder / f"{name}.log")
    if watched.code:
        last = watched.output.strip().splitlines()[-1:] or [f"ended with {watched.code}"]
        print(f"{name}: did not finish: {last[0]}")
        return None
    rows, seconds = watched.output.split()[-2:]
    result = Result(name, int(rows), float(seconds), watched)
    print_result(result)
    return result


COLUMNS = ("", "rows", "work s", "process s", "rows/s of work", "process MiB", "all MiB", "largest child MiB")


def print_header() -> None:
    print(" | ".join(f"{name:>{max(len(name), 11)}}" for name in COLUMNS), flush=True)


def print_result(result: Result) -> None:
    """A line of the table; memory is the peak: of the process, of it and its descendants, of the largest of those."""
    watched = result.watched
    cells = [
        result.name,
        f"{result.rows:,}",
        f"{result.seconds:,.1f}",
        f"{watched.seconds:,.1f}",
        f"{result.rate:,.0f}",
    ]
    cells += [f"{peak / MIB:,.0f}" for peak in (watched.own_peak, watched.tree_peak, watched.child_peak)]
    print(" | ".join(f"{c:>{max(len(n), 11)}}" for c, n in zip(cells, COLUMNS, strict=True)), flush=True)


if __name__ == "__main__":
    main()
