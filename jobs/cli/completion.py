"""Completion scripts for `showcases`, written by shtab from the parsers of the steps."""

import argparse
import contextlib
import runpy
import sys
import warnings
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin
from unittest import mock

import jsonargparse
import shtab

from jobs.cli.commands import COMMANDS, SHELLS


class _Caught(BaseException):  # not an Exception, so that no handler of the step can swallow it
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def script(shell: str, steps: tuple[str, ...] = tuple(COMMANDS)) -> str:
    """The completion script for a shell of `SHELLS`.

    Args:
        steps: the steps whose options are completed; by default all of them.
    """
    root = argparse.ArgumentParser(prog="showcases")
    commands = root.add_subparsers(dest="step")
    for step in steps:
        commands.add_parser(step, help=COMMANDS[step].line)
        commands.choices[step] = _prepared(parser_of(step))
    commands.add_parser("completion", help="a completion script").add_argument("shell", choices=SHELLS)
    return shtab.complete(root, shell)


def parser_of(step: str) -> argparse.ArgumentParser:
    """The parser of a step: the step's module runs until it parses its command line, and no further."""
    with _catching(), mock.patch.object(sys, "argv", [step]):
        try:
            runpy.run_module(COMMANDS[step].module, run_name="__main__", alter_sys=False)
        except _Caught as caught:
            return caught.parser
    raise RuntimeError(f"{COMMANDS[step].module} parses no command line")


@contextlib.contextmanager
def _catching() -> Iterator[None]:
    def catch(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        raise _Caught(parser)

    with contextlib.ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore", RuntimeWarning)  # runpy: an earlier step has imported this one
        for kind in (argparse.ArgumentParser, jsonargparse.ArgumentParser):
            for name in ("parse_args", "parse_known_args"):
                stack.enter_context(mock.patch.object(kind, name, catch))
        yield


def _prepared(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """What shtab reads of an argument but jsonargparse keeps in its type: the choices, and where files are expected."""
    for action in parser._actions:
        kind = getattr(action, "_typehint", None)
        if get_origin(kind) is Literal:
            action.choices = [str(value) for value in get_args(kind)]
        elif kind is bool:
            action.choices = ["true", "false"]
        elif action.option_strings and action.nargs != 0 and not action.choices:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    return parser
