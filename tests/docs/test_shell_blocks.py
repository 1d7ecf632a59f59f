"""Shell blocks of README.md and docs/*.md, run as they stand; `make test-docs` runs the slow ones.

A block is run here, document by document, unless the comment right above it says `needs a cloud` or
`run by tests/FILE.py::test_NAME`; test_commands.py holds marks and commands against what there is.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.request import urlopen

import pytest

from showcases.storage.artifacts import Workspace
from tests.docs import sandbox
from tests.docs.shell import Block, all_blocks, documents, run_by

ENDS = {  # commands that need not end with 0, as their pages say: how they may end, and what they then say
    "python -m jobs.inspect_data --root my-workspace": ((0, 1), "leak between splits"),
    "python -m benchmarks.scale.plan docs/scale-gpu.json": ((1,), "not measured yet"),
}
SMALLER = {"--photos 8000": "--photos 40"}  # sizes that take minutes
OPEN = [block for block in all_blocks() if not block.mark]


@pytest.fixture(scope="module")
def checkout(tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A sandbox after the quick start's first line."""
    folder = sandbox.make(tmp_path_factory.mktemp("checkout"), tiny_corpus)
    block = run_by("test_quick_start")[0]
    done = sandbox.run(block.text.splitlines()[0], folder)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (folder / "demo.txt").write_text(done.stdout)
    prepare(folder / "workspace")
    yield folder


def prepare(workspace: Path) -> None:
    """What commands of other pages take as done: a sweep, and two models of `make reproduce`."""
    best = workspace / "_sweeps" / "generator" / "default" / "best.yaml"
    best.parent.mkdir(parents=True)
    best.write_text("train_generator: {contrastive: {tau: 0.2}}\n")
    [model] = (workspace / "generator").glob("*-seed0")
    for name in ("baseline", "pc2l"):
        shutil.copytree(model, workspace / "_reproduce" / f"generator-{name}-seed0")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_quick_start(checkout: Path) -> None:
    """`make demo` prints a showcase; `make serve` then serves it."""
    printed = (checkout / "demo.txt").read_text()
    assert '"photos": [' in printed and "demo done in" in printed
    first, second = run_by("test_quick_start")
    assert first.commands == [["make", "demo"], ["make", "test"]]  # and this is the second of them
    [serve] = second.commands
    assert serve == ["make", "serve"]
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8000)) == 0:
            pytest.skip("something listens on port 8000, which `make serve` takes")
    with sandbox.started(" ".join(serve), checkout) as url:
        assert url == "http://127.0.0.1:8000"
        with urlopen(f"{url}/readyz") as answer:
            assert answer.status == 200


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param(found, id=path.name)
        for path in documents()
        if (found := [b for b in OPEN if b.name.startswith(str(path.relative_to(sandbox.ROOT)))])
    ],
)
def test_open_blocks(blocks: list[Block], checkout: Path) -> None:
    for block in blocks:
        for line in block.text.replace("\\\n", " ").splitlines():
            command = re.sub(r" +", " ", line.partition("#")[0]).strip()
            small = {old: new for old, new in SMALLER.items() if old in command}
            done = sandbox.run(command, checkout, small)
            codes, phrase = ENDS.get(command, ((0,), ""))
            told = f"{block.name}: {command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
            assert done.returncode in codes and phrase in done.stdout + done.stderr, told


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_services_start(checkout: Path) -> None:
    """Each with the workspace that its page speaks of, on a port of its own."""
    for block in run_by("test_services_start"):
        [command] = block.commands
        root = command[command.index("--root") + 1]
        if not (checkout / root).exists():  # own-data's, which is the same workspace under another name
            (checkout / root).symlink_to(checkout / "workspace")
        with (
            sandbox.started(f"{' '.join(command)} --port 0", checkout) as url,
            urlopen(f"{url}/readyz") as answer,
        ):
            assert answer.status == 200, block.name


def test_keys_are_made_and_taken_back(tmp_path: Path, repository: Path) -> None:
    """Line by line, as the id is known only once `create` has run."""
    [block] = run_by("test_keys_are_made_and_taken_back")
    create, listed, rotate, revoke = block.text.splitlines()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": f"{repository / 'platform'}{os.pathsep}{repository}"}

    def run(line: str) -> str:
        line = line.replace(" ID", f" {made}") if made else line
        done = subprocess.run(line, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        return done.stdout

    made = ""
    first = run(create).strip()
    made = first.split("_")[1]
    assert made in run(listed)
    second = run(rotate).strip()
    assert second.startswith(f"sc_{made}_") and second != first
    run(revoke)
    assert "revoked" in run(listed)


@pytest.mark.ray
def test_requests_are_answered(service: str, tiny_workspace: Workspace, tiny_corpus: Path, tmp_path: Path) -> None:
    """The pages' curl lines, sent to a running service; `--fail` turns a refusal into a failure."""
    ids = SimpleNamespace(**tiny_workspace.read_table("reviews", ["user_id", "business_id"]).to_pylist()[0])
    for number, photo in enumerate(sorted((tiny_corpus / "photos").glob("*.jpg"))[:3], 1):
        (tmp_path / f"{number}.jpg").symlink_to(photo)
    sent = 0
    for block in run_by("test_requests_are_answered"):
        text = block.text.replace("http://127.0.0.1:8000", service)
        text = text.replace('"USER"', f'"{ids.user_id}"').replace('"RESTAURANT"', f'"{ids.business_id}"')
        text = text.replace("\\\n", " ").replace("curl ", "curl -sS --fail-with-body ")
        for line in text.splitlines():
            environment = os.environ | {"KEY": "none, while the service is open"}
            done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{block.name}: {line}\n{done.stdout}{done.stderr}"
            answer = json.loads(done.stdout)
            if line.rstrip().endswith("/v1/showcases"):
                assert answer["photos"], line
            sent += 1
    assert sent >= 6
