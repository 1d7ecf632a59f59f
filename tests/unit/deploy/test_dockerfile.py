"""The Dockerfile as far as it can be checked without Docker: what it copies is there, what it installs is pinned."""

import fnmatch
import re
import shlex
from pathlib import Path

import pytest
import yaml


@pytest.fixture(scope="module")
def instructions(repository: Path) -> list[tuple[str, str]]:
    """(instruction, its arguments), lines that go on joined, comments left out."""
    text = re.sub(r"^\s*#.*\n", "", (repository / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(line.split()[0], line.split(maxsplit=1)[1]) for line in text.splitlines() if line.strip()]


def ignored(path: str, patterns: list[str]) -> bool:
    """As Docker reads .dockerignore: the last pattern that fits the path, or a folder above it, decides."""
    parts = path.split("/")
    names = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    result = False
    for pattern in patterns:
        glob = pattern.removeprefix("!").removeprefix("**/")
        anywhere = "**/" in pattern
        if any(fnmatch.fnmatch(name.rpartition("/")[2] if anywhere else name, glob) for name in names):
            result = not pattern.startswith("!")
    return result


@pytest.fixture(scope="module")
def patterns(repository: Path) -> list[str]:
    lines = (repository / ".dockerignore").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def copied(instructions: list[tuple[str, str]]) -> list[str]:
    found = [shlex.split(arguments) for name, arguments in instructions if name == "COPY"]
    return [word for words in found for word in words[:-1] if not word.startswith("--")]


def test_what_is_copied_exists_and_reaches_the_build(
    instructions: list[tuple[str, str]], patterns: list[str], repository: Path
) -> None:
    sources = copied(instructions)
    assert {"platform", "jobs", "tuning", "serve_apps"} <= set(sources)
    for source in sources:
        assert (repository / source).exists(), source
        assert not ignored(source, patterns), source
    for file in ("platform/showcases/py.typed", "jobs/configs/mini.yaml", "serve_apps/config.yaml"):
        assert not ignored(file, patterns), file


@pytest.mark.parametrize(
    "path", ["workspace/mlflow.db", ".git/config", ".env", "jobs/__pycache__/cli.pyc", "tests", "docs"]
)
def test_the_rest_stays_out(path: str, patterns: list[str]) -> None:
    assert ignored(path, patterns)


def test_every_package_of_pyproject_is_copied(instructions: list[tuple[str, str]], repository: Path) -> None:
    include = re.search(r"^include = \[(.*)\]", (repository / "pyproject.toml").read_text(), re.MULTILINE)
    assert include
    packages = {name.strip('" *') for name in include.group(1).split(",")} - {"showcases"}
    assert packages <= set(copied(instructions))


def test_its_ray_is_the_pinned_one(instructions: list[tuple[str, str]], repository: Path) -> None:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (repository / "constraints.txt").read_text(), flags=re.MULTILINE))
    arguments = dict(value.split("=") for name, value in instructions if name == "ARG")
    assert arguments == {"RAY": pins["ray"], "FLAVOR": "cpu"}
    [base] = [value for name, value in instructions if name == "FROM"]
    images = yaml.safe_load((repository / "cluster.yaml").read_text())
    for flavor, used in (
        ("cpu", images["docker"]["image"]),
        ("gpu", images["available_node_types"]["gpu"]["docker"]["worker_image"]),
    ):
        assert base.replace("${RAY}", arguments["RAY"]).replace("${FLAVOR}", flavor) == used


def test_runs_as_the_images_user_and_installs_what_is_pinned(instructions: list[tuple[str, str]]) -> None:
    users = [(place, value) for place, (name, value) in enumerate(instructions) if name == "USER"]
    assert [value for _, value in users] == ["root", "ray", "ray"]
    as_root = [value for name, value in instructions[users[0][0] + 1 : users[1][0]]]
    assert len(as_root) == 1 and "apt-get purge --yes sudo" in as_root[0] and "pip" not in as_root[0]
    installs = [value for name, value in instructions if name == "RUN" and "pip install" in value]
    assert len(installs) == 2
    assert all("--constraint constraints.txt" in value or "--no-deps" in value for value in installs)
    assert "--editable" in installs[-1]
