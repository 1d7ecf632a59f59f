"""Tests of a folder run in one process of xdist, and all that use Ray in one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scheduling import scope

RECORD = """
import os
from pathlib import Path
import pytest

@pytest.mark.parametrize("number", range(5))
def test_it(number: int) -> None:
    name = f"{Path(__file__).parent.name} {os.environ['PYTEST_XDIST_WORKER']}"
    Path(__file__).parents[1].joinpath("log").open("a").write(name + chr(10))
"""


def test_files_that_use_ray_are_one_scope_and_each_other_folder_is_one() -> None:
    assert scope("tests/ray/test_sweep.py") == scope("tests/serve/test_service.py") == "ray"
    assert scope("tests/unit/storage/test_artifacts.py") == "tests/unit/storage"


@pytest.mark.server
def test_xdist_keeps_a_scope_in_one_process(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    (tmp_path / "conftest.py").write_text("from tests.scheduling import *\n")
    for name in ("a/test_1.py", "a/test_2.py", "b/test_3.py", "c/test_4.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(RECORD)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["PYTHONPATH"] = os.pathsep.join((str(repository / "platform"), str(repository)))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-n", "2", "--dist", "loadscope"]
    done = subprocess.run([*command, str(tmp_path)], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = (tmp_path / "log").read_text().splitlines()
    assert len(ran) == 20 and len(set(ran)) == 3  # each folder with one worker
