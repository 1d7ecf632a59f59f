"""An unexpected skip is named and fails a run in CI, alone and under xdist; expected ones pass."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import skips

pytestmark = pytest.mark.server

TESTS = """
import pytest

def test_passes() -> None: ...
"""
SKIPPED = """
@pytest.mark.skipif(True, reason="no frobnicator")
def test_skipped() -> None: ...
"""


def run(
    folder: Path, repository: Path, *options: str, allowed: str = "", ci: str = "true"
) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join((str(repository / "platform"), str(repository)))
    environment = {**os.environ, "PYTHONPATH": path, skips.ALLOWED: allowed, skips.STRICT: ci}
    for name in [name for name in environment if name.startswith("PYTEST_")]:
        del environment[name]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(folder)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text("from tests.skips import *\n")
    (tmp_path / "test_one.py").write_text(TESTS + SKIPPED)
    return tmp_path


@pytest.mark.parametrize("options", [(), ("-n", "2")])
def test_an_unexpected_skip_fails_the_run_and_is_named(
    folder: Path, repository: Path, options: tuple[str, ...]
) -> None:
    done = run(folder, repository, *options)
    assert done.returncode == 1
    assert "UNEXPECTED SKIP test_one.py::test_skipped: no frobnicator" in done.stdout


def test_on_a_developers_machine_it_is_named_alone(folder: Path, repository: Path) -> None:
    done = run(folder, repository, ci="")
    assert done.returncode == 0 and "UNEXPECTED SKIP test_one.py::test_skipped: no frobnicator" in done.stdout


def test_a_file_skipped_whole_is_seen_too(folder: Path, repository: Path) -> None:
    (folder / "test_two.py").write_text("import pytest\npytest.importorskip('no_such_module')\n")
    done = run(folder, repository, "-n", "1", allowed="frobnicator")
    assert done.returncode == 1 and "UNEXPECTED SKIP test_two.py" in done.stdout


def test_an_allowed_skip_or_none_passes(folder: Path, repository: Path) -> None:
    assert run(folder, repository, allowed="frob.*tor").returncode == 0
    (folder / "test_one.py").write_text(TESTS)
    assert run(folder, repository).returncode == 0


def test_real_data_may_be_missing_only_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skips, "SHARED", tmp_path / "nothing")
    assert skips.is_expected(f"no real data at {skips.SHARED}")
    monkeypatch.setattr(skips, "SHARED", tmp_path)
    assert not skips.is_expected(f"no real data at {skips.SHARED}")
