"""Every command of the docs is one that exists, with options that its own parser takes; nothing is run here."""

import argparse
import importlib
import importlib.util
import os
import re
import runpy
import shutil
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import click
import jsonargparse
import pytest

from tests.docs.shell import ROOT, RUN_BY, Block, all_blocks, documents

SHELL = {"curl", "export", "source"}  # curl's requests are sent by test_shell_blocks.py
INLINE = re.compile(r"`(python -m (?:jobs|tuning|serve_apps|benchmarks)\.[a-z_0-9.]+(?: [^`]*)?)`")
LEFT_OPEN = re.compile(r"[\[|…]|\b[A-Z]{2,}\b")  # a choice, or a word to be replaced
INDENTED = re.compile(r"^ {4}(?:python|make|curl|ray|serve|showcases|pip) .*", re.MULTILINE)


# Some modules were imported before, by other tests: run again as a program they start afresh all the same.
pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")


class Taken(BaseException):
    """The parser took all it was given."""


@pytest.fixture
def sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the config files that commands name; each parser stops its program once it is content."""
    shutil.copytree(ROOT / "jobs" / "configs", tmp_path / "jobs" / "configs")
    best = tmp_path / "workspace" / "_sweeps" / "generator" / "default" / "best.yaml"
    best.parent.mkdir(parents=True)
    best.write_text("train_generator: {contrastive: {tau: 0.2}}\n")
    monkeypatch.chdir(tmp_path)
    for kind in (argparse.ArgumentParser, jsonargparse.ArgumentParser):
        monkeypatch.setattr(kind, "parse_args", stopping(kind.parse_args))


def stopping(parse: Callable[..., object]) -> Callable[..., object]:
    def parse_and_stop(*args: object, **options: object) -> object:
        parse(*args, **options)
        raise Taken

    return parse_and_stop


def refusal_of_python(module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> str | None:
    """What a module says against its arguments, or None."""
    return refusal_of(lambda: runpy.run_module(module, run_name="__main__"), [module, *arguments], monkeypatch)


def refusal_of_script(name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> str | None:
    """The same for a console script of ours."""
    module, _, function = scripts()[name].partition(":")
    return refusal_of(lambda: getattr(importlib.import_module(module), function)(), [name, *arguments], monkeypatch)


def refusal_of(run: Callable[[], object], argv: list[str], monkeypatch: pytest.MonkeyPatch) -> str | None:
    monkeypatch.setattr(sys, "argv", argv)
    try:
        run()
    except Taken:
        return None
    except SystemExit as end:  # 2 is the parser's; 1 is a program that misses its files, after its options were taken
        return f"exit {end.code}" if end.code == 2 else None
    except ImportError as error:
        return str(error)
    return "it ran without looking at its arguments"


def refusal_of_make(words: list[str]) -> str | None:
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    variables = set(re.findall(r"^(\w+) [?:]=|\$\(if \$\((\w+)\)", text, re.MULTILINE))
    known = targets | {name for pair in variables for name in pair}
    unknown = [word for word in words if word.partition("=")[0] not in known]
    return f"no such target or variable: {unknown}" if unknown else None


def refusal_of_click(program: str, words: list[str]) -> str | None:
    """What Ray's, Serve's or MLflow's command line says; its commands are found, and their options read, not run."""
    module = {"ray": "ray.scripts.scripts", "serve": "ray.serve.scripts", "mlflow": "mlflow.cli"}[program]
    command: click.Command = importlib.import_module(module).cli
    try:
        while isinstance(command, click.Group):
            group, name, words = command, words[0], words[1:]
            found = group.get_command(click.Context(group), name)
            if found is None:
                return f"no command {name}"
            command = found
        command.make_context(program, list(words))
    except click.ClickException as error:
        return error.format_message()
    return None


def scripts() -> dict[str, str]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"].get("scripts", {})


def refusal(command: list[str], block: Block, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Why a command can't be right; None where it can, or where it is another's and needs a cloud."""
    program, words = command[0], command[1:]
    if program == "python" and words[0] == "-m" and (ROOT / words[1].partition(".")[0]).is_dir():
        return refusal_of_python(words[1], words[2:], monkeypatch)
    if program in scripts():
        return refusal_of_script(program, words, monkeypatch)
    if program == "make":
        return refusal_of_make(words)
    if program in ("ray", "serve", "mlflow"):
        refused = refusal_of_click(program, words)
        inner = words[words.index("--") + 1 :] if "--" in words else []
        return refused or (refusal(inner, block, monkeypatch) if inner else None)
    return None if block.needs_cloud or program in SHELL else f"{program} is no command that a test knows"


def test_every_command_is_taken_by_its_parser(
    sandbox: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: dict[tuple[str, ...], str | None] = {}
    wrong = []
    for block in all_blocks():
        for command in block.commands:
            key = (*command, str(block.needs_cloud))
            if key not in seen:
                seen[key] = refusal(command, block, monkeypatch)
                said = capsys.readouterr().err.strip().splitlines()[-1:]
            if seen[key] is not None:
                wrong.append(f"{block.name}: {' '.join(command)}: {seen[key]} {' '.join(said)}")
    assert not wrong, "\n".join(wrong)
    assert len(seen) > 40  # the blocks were found


def test_commands_within_sentences_too(sandbox: None, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {command for page in documents() for command in INLINE.findall(page.read_text(encoding="utf-8"))}
    assert len(found) > 20
    for command in sorted(found):
        words = command.split()
        assert importlib.util.find_spec(words[2]), command
        if " --" in command and not LEFT_OPEN.search(command):
            assert refusal_of_python(words[2], words[3:], monkeypatch) is None, command


@pytest.mark.parametrize(
    "command",
    [
        "python -m jobs.no_such --root workspace",
        "python -m jobs.ingest --no_such 1",
        "python -m jobs.pipeline --config jobs/configs/none.yaml",
        "python -m jobs.pipeline --train_selector.loop.epochs many",
        "python -m serve_apps.keys create --root workspace",
        "make no-such",
        "make demo NO_SUCH=1",
        "ray no-such",
        "ray job submit --no-such -- python -m jobs.ingest",
        "ray job submit -- python -m jobs.ingest --no_such 1",
        "cowsay hello",
    ],
)
def test_a_wrong_command_is_found(command: str, sandbox: None, monkeypatch: pytest.MonkeyPatch) -> None:
    block = Block("docs/made-up.md", 1, "", command)
    assert refusal(block.commands[0], block, monkeypatch) is not None


def test_every_mark_is_one_of_the_two_and_true() -> None:
    for block in all_blocks():
        if not block.mark or block.needs_cloud:
            continue
        found = RUN_BY.fullmatch(block.mark)
        assert found, f"{block.name}: `{block.mark}` is neither `needs a cloud` nor `run by tests/FILE.py::test_NAME`"
        source = (ROOT / found["file"]).read_text(encoding="utf-8")
        assert f"\ndef {found['test']}(" in source, f"{block.name}: {found['file']} has no {found['test']}"
        if not found["file"].startswith("tests/docs/"):
            programs = [words[2] if words[1:2] == ["-m"] else words[1] for words in block.commands if len(words) > 1]
            named = [os.path.basename(block.document), *programs]
            assert any(name in source for name in named), f"{block.name}: {found['file']} speaks of none of {named}"


def test_no_shell_block_escapes() -> None:
    """Indented commands, and fences of another name, would be run by nobody."""
    for document in documents():
        text = document.read_text(encoding="utf-8")
        fenced = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        assert not INDENTED.findall(fenced), document
        assert not re.findall(r"^```(?:bash|shell|console|zsh)\b", text, flags=re.MULTILINE), document
