"""Completion scripts for `showcases`, written from the parsers of the steps, so that no option can be forgotten."""

import argparse
import contextlib
import functools
import runpy
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args, get_origin
from unittest import mock

import jsonargparse

from jobs.commands import COMMANDS

PARSES = (argparse.ArgumentParser, jsonargparse.ArgumentParser)


@dataclass
class Words:
    """What may follow a step: subcommands, and options with the values that they take (none: any, e.g. a file).

    Args:
        flags: the options that take no value.
    """

    commands: list[str] = field(default_factory=list)
    options: dict[str, tuple[str, ...]] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)


class _Caught(BaseException):  # no handler of the step's may swallow it
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def words_of(step: str) -> Words:
    """The words of a step, from the parser that it makes."""
    words = Words()
    _collect(parser_of(step), words)
    return words


def parser_of(step: str) -> argparse.ArgumentParser:
    """The parser of a step: the step is run until it parses its command line, and no further."""
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
        for kind in PARSES:
            for name in ("parse_args", "parse_known_args"):
                stack.enter_context(mock.patch.object(kind, name, catch))
        yield


def _collect(parser: argparse.ArgumentParser, words: Words) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            words.commands += list(action.choices)
            for below in action.choices.values():
                _collect(below, words)
        elif not action.option_strings:
            words.commands += list(action.choices or ())
        for option in action.option_strings:
            if option.startswith("--"):
                words.options[option] = _values(action)
                words.flags |= {option} if action.nargs == 0 else set()


def _values(action: argparse.Action) -> tuple[str, ...]:
    kind = getattr(action, "_typehint", None)
    choices = action.choices or (get_args(kind) if get_origin(kind) is Literal else ())
    if kind is bool:
        choices = ("true", "false")
    return tuple(map(str, choices))


def script(shell: str) -> str:
    """The completion script, for bash, zsh or fish."""
    return SCRIPTS[shell]({step: words_of(step) for step in COMMANDS})


BASH = """\
# Completion of `showcases` for {shell}; made by `showcases completion {shell}`.
{zsh}_showcases() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" step="${{COMP_WORDS[1]}}" words=""
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{steps} completion" -- "$word"))
        return
    fi
    [ "$step" = completion ] && words="bash zsh fish"
    case "$step $before" in
{values}
    esac
    if [ -z "$words" ]; then
        case "$before $word" in
            *" -"* | {flags}) ;;
            --*) COMPREPLY=($(compgen -f -- "$word")); return ;;  # the value of an option
        esac
        case "$step" in
{options}
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    [ ${{#COMPREPLY[@]}} -eq 0 ] && COMPREPLY=($(compgen -f -- "$word"))
}}
complete -o filenames -F _showcases showcases"""
ZSH = "autoload -U +X bashcompinit && bashcompinit\n"


def _bash(words: dict[str, Words], zsh: bool = False) -> str:
    groups: dict[tuple[str, ...], list[str]] = {}  # many steps take the same options: written once
    values: dict[tuple[str, ...], list[str]] = {}
    for step, each in words.items():
        groups.setdefault((*each.commands, *each.options), []).append(step)
        for option, allowed in each.options.items():
            if allowed:
                values.setdefault(allowed, []).append(f'"{step} {option}"')
    return BASH.format(
        shell="zsh" if zsh else "bash",
        zsh=ZSH if zsh else "",
        steps=" ".join(words),
        flags=" | ".join(f'"{flag} "*' for flag in sorted(set().union(*(each.flags for each in words.values())))),
        values="\n".join(f'    {"|".join(where)}) words="{" ".join(allowed)}" ;;' for allowed, where in values.items()),
        options="\n".join(f'        {"|".join(where)}) words="{" ".join(each)}" ;;' for each, where in groups.items()),
    )


def _fish(words: dict[str, Words]) -> str:
    lines = ["# Completion of `showcases` for fish; made by `showcases completion fish`."]
    for step in words:
        lines.append(f"complete -c showcases -n __fish_use_subcommand -f -a {step} -d {_quoted(COMMANDS[step].line)}")
    lines.append("complete -c showcases -n __fish_use_subcommand -f -a completion")
    lines.append("complete -c showcases -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'")
    groups: dict[str, list[str]] = {}
    for step, each in words.items():
        for command in each.commands:
            groups.setdefault(f"-f -a {command}", []).append(step)
        for option, allowed in each.options.items():
            values = f"-x -a {_quoted(' '.join(allowed))}" if allowed else "" if option in each.flags else "-r"
            groups.setdefault(f"-l {option[2:]} {values}", []).append(step)
    for what, where in groups.items():
        lines.append(f"complete -c showcases -n '__fish_seen_subcommand_from {' '.join(where)}' {what}")
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "\\'") + "'"


SCRIPTS: dict[str, Callable[[dict[str, Words]], str]] = {
    "bash": _bash,
    "zsh": functools.partial(_bash, zsh=True),
    "fish": _fish,
}
