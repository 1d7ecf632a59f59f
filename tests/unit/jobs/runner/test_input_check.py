"""A wrong path or format of an input file is reported before Ray starts and before anything is touched."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import ray

from jobs import annotate, import_s2, ingest, pipeline
from jobs.runner.execute import main

LABELS = json.dumps([{"data": {"review_id": "u_b", "sentence": "S.", "photo_id": "p"}, "annotations": [{"result": 5}]}])


@pytest.mark.parametrize(
    ("run", "flag", "content", "message"),
    [
        (lambda argv: main(ingest.STEP, argv), "--reviews", None, "given.json: no such file"),
        (lambda argv: main(ingest.STEP, argv), "--reviews", "a,b\n1,2\n", "looks like CSV"),
        (lambda argv: main(import_s2.STEP, argv), "--reviews", '{"user_id": "u"}', "jobs.ingest"),
        (lambda argv: main(annotate.STEP, argv), "--labels", LABELS, "task 0, annotation 0: no list `result`"),
        (lambda argv: annotate.main(["import", *argv]), "--labels", "{}", "a list of tasks"),
        (pipeline.main, "--reviews", "PAR1", "a Parquet file"),
    ],
)
def test_a_wrong_input_file_costs_nothing(
    tmp_path: Path,
    run: Callable[[list[str]], None],
    flag: str,
    content: str | None,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given, root = tmp_path / "given.json", tmp_path / "ws"
    if content is not None:
        given.write_text(content)
    for artifact in ("reviews", "photos", "rejects", "gest_s2", "annotations"):
        (root / artifact).mkdir(parents=True)
        (root / artifact / "part-00000.parquet").write_bytes(b"what stood there")
    was_up = ray.is_initialized()
    with pytest.raises(SystemExit) as ended:
        run([flag, str(given), "--root", str(root)])
    assert ended.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and len(error.splitlines()) == 1
    assert ray.is_initialized() == was_up
    assert {file.read_bytes() for file in root.rglob("*.parquet")} == {b"what stood there"}
    assert sum(1 for file in root.rglob("*") if file.is_file()) == 5
