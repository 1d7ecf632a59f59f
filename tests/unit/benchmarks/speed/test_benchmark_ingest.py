"""What the ingest benchmark stands on: a file of distinct rows of the wanted size, and memory that is really seen."""

import json
import sys
from pathlib import Path

from benchmarks.harness import print_line
from benchmarks.processes import MIB, watch
from benchmarks.speed.ingest import source_rows, write_rows

HOLD = "data = b'x' * (200 << 20); import time; time.sleep(1.5)"


def test_repeated_rows_have_new_ids_and_the_same_texts(tmp_path: Path) -> None:
    rows = source_rows(None)[:50]
    path = tmp_path / "rows.json"
    count = write_rows(path, rows, size=100_000)
    written = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert len(written) == count > 100 and 100_000 <= path.stat().st_size < 110_000
    assert [row["review_text"] for row in written] == [rows[i % 50]["review_text"] for i in range(count)]
    photos = [pic["id"] for row in written for pic in row["pics"]]
    assert len(set(photos)) == len(photos)
    users = {row["user_id"] for row in written}
    assert all(len(user) == 21 for user in users)
    per_copy = len({row["user_id"] for row in rows})
    assert len(users) > per_copy and len({row["business_id"] for row in written[:50]}) <= 50


def test_memory_of_the_process_and_of_its_children_is_told_apart(tmp_path: Path) -> None:
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLD!r}], check=True); print('done')"
    watched = watch([sys.executable, "-c", parent], tmp_path / "log", every=0.05)
    assert watched.code == 0 and watched.output.strip() == "done"
    assert watched.own_peak < 100 * MIB
    assert 200 * MIB < watched.child_peak < 300 * MIB
    assert watched.tree_peak > 200 * MIB


def test_the_last_line_is_json(capsys) -> None:
    print_line("ingest", 3.14159, 100, 314.159, "MiB", threads=2)
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert found | {"cpu": ""} == {
        "name": "ingest", "ratio": 3.142, "ours": 100.0, "rival": 314.2, "unit": "MiB", "cpu": "", "threads": 2
    }  # fmt: skip
    assert found["cpu"]
