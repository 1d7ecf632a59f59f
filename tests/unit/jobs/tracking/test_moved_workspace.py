"""A workspace that was moved or copied: all that is registered is read and written beside it, wherever it is now."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from jobs import lineage, mlflow_ui, promote, resend
from jobs.runner.config import PipelineConfig
from jobs.tracking import run_facts
from jobs.tracking import tracker as tracking
from jobs.tracking.config import TrackingConfig, tracking_uri
from serve_apps.args import ShowcaseArgs
from serve_apps.rollout.models import Bundle
from serve_apps.rollout.registry import resolve
from showcases.errors import ConfigError
from showcases.tracking_db import database_uri, relocate, sqlite_uri
from tests.serve.tiny_service import make_workspace
from tests.waiting import wait_until

ODD = "a?b #c %20 ü"


@pytest.fixture(scope="module")
def made(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that serving reads, with registered models and a bundle; with a run that never ended. Never opened again."""
    folder = tmp_path_factory.mktemp("original") / "workspace"
    make_workspace(folder, tiny_corpus)
    config = PipelineConfig(root=str(folder))
    promote.promote(config)
    left = tracking.begin(config, "cut off", None)
    assert left.spool.close(60)
    return folder


@pytest.fixture
def moved(made: Path, tmp_path: Path) -> Iterator[Path]:
    """Elsewhere, under a name with characters that mean something in a URI; the old place is not there meanwhile."""
    new, away = tmp_path / ODD, made.with_name("away")
    shutil.copytree(made, new)
    made.rename(away)
    yield new
    assert not made.exists()  # nothing has made it anew
    away.rename(made)


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """Elsewhere, with an existing database, which takes seconds to make anew."""
    shutil.copytree(made, tmp_path / "old")
    return tmp_path / "old"


def texts_of(folder: Path) -> dict[str, list[str]]:
    """Every text in MLflow's database, by table and column."""
    with sqlite3.connect(folder / "mlflow.db") as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found: dict[str, list[str]] = {}
        for table in tables:
            rows = database.execute(f'SELECT * FROM "{table}"')
            names = [column[0] for column in rows.description]
            for row in rows:
                for name, value in zip(names, row, strict=True):
                    found.setdefault(f"{table}.{name}", []).append(str(value))
    database.close()
    return found


def sources(bundle: Bundle) -> list[Path]:
    return [ref.download() for ref in (bundle.selector, bundle.generator)]


def test_a_moved_workspace_is_read_where_it_is_now(moved: Path, made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(moved)
    bundle = resolve(ShowcaseArgs(root=root))  # the service's lookup, first: it opens the database by itself
    assert bundle.registered is not None and bundle.registered.version == "1"
    assert all(path.is_relative_to(moved) and (path / "model.safetensors").is_file() for path in sources(bundle))
    texts = texts_of(moved)
    assert len(texts) > 50 and not {name for name, all_ in texts.items() if any(str(made) in text for text in all_)}
    lineage.main(["--root", root, "--model", "showcases-selector", "--json"])
    assert json.loads(capsys.readouterr().out)["model"] == "showcases-selector version 1"
    lineage.main(["--root", root, "--bundle", "1"])
    promote.main(["--root", root, "--force"])
    assert "showcases-bundle version 2 is champion now" in capsys.readouterr().out
    newest = resolve(ShowcaseArgs(root=root)).registered
    assert newest is not None and newest.download().is_relative_to(moved)
    assert relocate(root) == []


def test_a_run_that_was_under_way_before_the_move_is_closed(moved: Path) -> None:
    client = MlflowClient(database_uri(str(moved)))
    [experiment] = client.search_experiments(filter_string="name = 'showcases'")
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert (runs["cut off"].info.status, runs["promote"].info.status) == ("KILLED", "FINISHED")
    assert runs["cut off"].data.tags["workspace"] == str(moved)


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(file): (file.stat().st_mtime_ns, file.stat().st_size) for file in folder.rglob("*") if file.is_file()}


def test_a_copy_and_its_original_leave_each_other_alone(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_facts, "SAMPLE_SECONDS", 600.0)  # the run under way writes nothing by itself
    original, copy = tmp_path / "first", tmp_path / "second"
    shutil.copytree(made, original)
    relocate(str(original))
    # while the original is at work
    with tracking.step_run("in the original", PipelineConfig(root=str(original)), {}, None) as under_way:
        assert under_way.spool.drain(60)  # MLflow has all of it: nothing is written while the copy is promoted
        shutil.copytree(original, copy)
        before = snapshot(original)
        promote.promote(PipelineConfig(root=str(copy)), gate=promote.no_gate)
        assert snapshot(original) == before
        assert all(path.is_relative_to(copy) for path in sources(resolve(ShowcaseArgs(root=str(copy)))))
        in_copy = MlflowClient(database_uri(str(copy)))
        assert in_copy.get_run(under_way.run_id).info.status == "KILLED"  # there nobody goes on with it
        in_original = MlflowClient(database_uri(str(original)))
        assert in_original.get_run(under_way.run_id).info.status == "RUNNING"
        before = snapshot(copy)
        folder = tmp_path / "files"
        folder.mkdir()
        (folder / "a.txt").write_text("a")
        under_way.log_folder(folder, "late")
    assert snapshot(copy) == before
    assert all(path.is_relative_to(original) for path in sources(resolve(ShowcaseArgs(root=str(original)))))
    assert len(in_copy.search_model_versions("name = 'showcases-bundle'")) == 2
    assert len(in_original.search_model_versions("name = 'showcases-bundle'")) == 1


def test_what_waits_in_a_moved_workspace_goes_to_its_own_database(
    copied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = PipelineConfig(root=str(copied))
    with tracking.step_run("train", config, {}, None) as tracker:
        pass
    late = tracking.Tracker(tracking_uri(config), tracker.run_id, config.root)
    late.spool._ending = True  # as of a process that ends before it could send anything
    late.log_metrics({"loss": 2.0})
    assert not late.spool.close(1)
    copied.rename(tmp_path / "new")
    resend.main(["--root", str(tmp_path / "new")])
    assert "1 sent, 0 left" in capsys.readouterr().out
    client = MlflowClient(database_uri(str(tmp_path / "new")))
    assert client.get_run(tracker.run_id).data.metrics == {"loss": 2.0} and not copied.exists()


def test_another_workspace_that_logs_to_this_database_keeps_its_files(copied: Path, tmp_path: Path) -> None:
    own, other = copied, tmp_path / "other"
    relocate(str(own))
    files = tmp_path / "files"
    files.mkdir()
    (files / "a.txt").write_text("a")
    guest = PipelineConfig(root=str(other), tracking=TrackingConfig(sqlite_uri(own / "mlflow.db"), "guests"))
    with tracking.step_run("guest", guest, {}, None) as tracker:
        tracker.log_folder(files, "some")
    assert relocate(str(own)) == []
    assert list(other.glob(f"mlflow/{tracker.run_id}/artifacts/some/a.txt"))


def test_a_moved_workspace_whose_database_is_broken_says_so(copied: Path) -> None:
    file = copied / "mlflow.db"
    file.write_bytes(file.read_bytes()[:5000])  # the copy was cut off
    with pytest.raises(ConfigError, match=f"{file}: MLflow's database can't be read"):
        database_uri(str(copied))


def test_the_pages_of_a_moved_workspace(moved: Path, free_ports: list[int], repository: Path) -> None:
    """What `make mlflow` runs, in a folder whose name would end a URI's path, or a shell's word."""
    target = subprocess.run(
        [
            "make",
            "-n",
            "--no-print-directory",
            "-o",
            ".venv/.ready",
            "mlflow",
            f"ROOT={moved}",
            f"PORT={free_ports[0]}",
        ],
        cwd=repository,
        env={name: value for name, value in os.environ.items() if name != "MAKEFLAGS"},  # of the `make test` around it
        capture_output=True,
        text=True,
        check=True,
    )
    command = target.stdout.strip().splitlines()[-1].replace(".venv/bin/python", sys.executable)
    assert mlflow_ui.__name__ in command
    environment = os.environ | {
        "PYTHONPATH": f"{repository / 'platform'}:{repository}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    log = moved / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["sh", "-c", f"exec {command}"],
            cwd=moved.parent,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        url = f"http://127.0.0.1:{free_ports[0]}/api/2.0/mlflow/registered-models/alias"
        asked = f"{url}?name=showcases-bundle&alias=champion"
        wait_until(lambda: process.poll() is not None or _answers(asked), 120)
        assert process.poll() is None, log.read_text()
        with urllib.request.urlopen(asked, timeout=30) as answer:
            found = json.loads(answer.read())["model_version"]
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert found["source"].startswith((moved / "mlflow").as_uri())
    assert sorted(path.name for path in moved.parent.iterdir()) == [ODD]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False
