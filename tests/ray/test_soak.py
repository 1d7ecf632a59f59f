"""The soak of one workspace by pairs of pipelines, in a folder and on an object store that fails now and then."""

import subprocess
import sys
from pathlib import Path

import pytest

from showcases.storage.artifacts import FLOW, Workspace
from tests.faulty_proxy import FLAKY, faulty_proxy
from tests.soak import check, play

pytestmark = [pytest.mark.slow, pytest.mark.timeout(7200)]
ROUNDS = 10
HEAD = "| round | seeds | second pipeline | killed after, s | artifacts whole | builds to resume |\n|" + "---|" * 6


@pytest.mark.parametrize("store", ["folder", "s3"])
def test_two_pipelines_at_once_and_a_kill(store: str, tiny_corpus: Path, tmp_path: Path, s3_server) -> None:
    s3_server.create_bucket("soak")
    with faulty_proxy(s3_server.endpoint, FLAKY) as proxy:
        root = str(tmp_path / "workspace") if store == "folder" else proxy.root("soak", "workspace")
        workspace = Workspace(root)
        print(f"\n{store}\n{HEAD}")
        play(workspace, tiny_corpus, ROUNDS, tmp_path)
        end = subprocess.run(
            [sys.executable, "-m", "tests.soak", root, str(tiny_corpus), "0"], capture_output=True, text=True
        )
        assert end.returncode == 0, end.stdout + end.stderr
        check(workspace, tiny_corpus)
        assert all(workspace.manifest(artifact.name) is not None for artifact in FLOW)
        print(f"then one to its end; faults injected: {dict(proxy.injected)}")
