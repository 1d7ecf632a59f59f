"""The house stays in order: who may import whom, one flow under one set of names, options that explain themselves."""

import importlib
import os
import platform
import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest
import yaml

from showcases.storage.artifacts import ARTIFACTS, FLOW

IMPORT_ALL = """
import importlib, pkgutil, sys
for name in ("ray", "mlflow", "jobs", "tuning", "serve_apps"):
    sys.modules[name] = None  # an import of it raises ImportError
import showcases
for module in pkgutil.walk_packages(showcases.__path__, "showcases."):
    importlib.import_module(module.name)
    print(module.name)
"""


def run_python(code: str, folder: Path, path: str | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = path
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)


def test_platform_is_a_source_root_not_a_package(repository: Path) -> None:
    assert (repository / "platform" / "showcases" / "__init__.py").is_file()
    assert not (repository / "platform" / "__init__.py").exists()


@pytest.mark.parametrize("path", [None, ".", "platform:."])
def test_standard_platform_module_works_from_the_root(repository: Path, path: str | None) -> None:
    done = run_python("import platform; print(platform.system(), platform.__file__)", repository, path)
    assert done.returncode == 0, done.stderr
    system, file = done.stdout.split(maxsplit=1)
    assert system == platform.system()
    assert repository not in Path(file.strip()).parents


def test_library_imports_nothing_above_it(repository: Path) -> None:
    done = run_python(IMPORT_ALL, repository, "platform:.")
    assert done.returncode == 0, done.stderr
    source = repository / "platform"
    files = {path.relative_to(source).with_suffix("") for path in (source / "showcases").rglob("*.py")}
    names = {".".join(part for part in file.parts if part != "__init__") for file in files}
    assert set(done.stdout.split()) == names - {"showcases"}


def documented_table(repository: Path) -> list[list[str]]:
    """The rows of the docs' table of artifacts: [step, reads, writes, form]."""
    text = (repository / "docs" / "pipeline.md").read_text()
    table = re.search(r"^\| step \| reads \| writes \| form \|\n\|[ :|-]+\|\n((?:\|.*\n)+)", text, flags=re.MULTILINE)
    assert table, "docs/pipeline.md: no table `| step | reads | writes | form |`"
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table.group(1).splitlines()]


def named(cell: str) -> list[str]:
    return re.findall(r"`([a-z_0-9]+)`", cell)


def flow_by_step() -> list[tuple[str, list[str]]]:
    return [(step, [a.name for a in group]) for step, group in groupby(FLOW, key=lambda artifact: artifact.step)]


def test_pipeline_runs_the_flow(repository: Path) -> None:
    from jobs.pipeline import STEPS

    assert [(step.name, list(step.writes)) for step in STEPS] == flow_by_step()
    reads = {named(row[0])[0]: named(row[1]) for row in documented_table(repository)}
    made: set[str] = set()
    for step in STEPS:
        assert set(step.reads) <= made, f"{step.name} reads what no earlier step writes"
        assert set(reads[step.name]) == set(step.reads), f"documented row of {step.name}"
        made |= set(step.writes)


@pytest.mark.parametrize("name", [step for step, _ in flow_by_step()])
def test_each_job_is_a_step(name: str) -> None:
    step = importlib.import_module(f"jobs.{name}").STEP
    assert step.name == name
    assert all(ARTIFACTS[artifact].step == name for artifact in step.writes)
    assert set(step.reads) <= set(ARTIFACTS)


@pytest.mark.parametrize("flag", ["--no_such", "--train_selector.no_such", "--train_generator.contrastive.no_such"])
def test_unknown_flags_are_refused(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    from jobs.runner.config import parse

    with pytest.raises(SystemExit):
        parse([f"{flag}=1"], "test")
    assert "no_such" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content", [{"no_such": 1}, {"train_selector": {"no_such": 1}}, {"clip": {"model": ["a", "b"]}}]
)
def test_wrong_yaml_is_refused(content: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from jobs.runner.config import parse

    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(SystemExit):
        parse(["--config", str(file)], "test")
    assert next(iter(content)) in capsys.readouterr().err


def test_short_flags_are_the_long_ones_and_win_over_the_file(tmp_path: Path) -> None:
    from jobs.runner.config import parse

    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({"cluster": {"workers": 2}, "fetch_images": {"retry": "expired"}}))
    short = parse(["--config", str(file), "--workers", "4", "--retry", "failed", "--reviews", "r.json"], "test")
    long = ["--cluster.workers", "4", "--fetch_images.retry", "failed", "--corpus.reviews", "r.json"]
    assert short == parse(["--config", str(file), *long], "test")
    assert parse(["--config", str(file)], "test").cluster.workers == 2


@pytest.mark.parametrize("name", ["mini", "paper"])
def test_shipped_configs_are_valid(repository: Path, name: str) -> None:
    from jobs.runner.config import parse

    file = repository / "jobs" / "configs" / f"{name}.yaml"
    config = parse(["--config", str(file), "--root", "elsewhere", "--train_selector.loop.epochs", "7"], "test")
    assert config.root == "elsewhere"
    assert config.train_selector.loop.epochs == 7  # flags win over the file
    written = yaml.safe_load(file.read_text())
    for section, options in written.items():
        for option, value in options.items() if isinstance(options, dict) else []:
            found = getattr(getattr(config, section), option)
            if isinstance(value, str | int | float | bool):
                assert found == value, f"{section}.{option}"


def test_every_option_is_explained() -> None:
    from jobs.runner.config import parser

    made = parser("test")
    options = [action for action in made._actions if action.option_strings]
    unexplained = [
        action.option_strings[0]
        for action in options
        if not action.help and not any(other.dest.startswith(f"{action.dest}.") for other in options)
    ]
    assert unexplained == []
    assert "weight of the image loss (paper: lambda_1 = 0.2)" in " ".join(made.format_help().split())
