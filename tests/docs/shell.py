"""The shell blocks of README.md and docs/*.md, what is said of who runs them, and the commands in them."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"(?:^<!-- (?P<mark>[^\n]*?) -->\n)?^```sh\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
CLOUD = re.compile(r"needs a cloud(: .+)?")
RUN_BY = re.compile(r"run by (?P<file>tests/[\w/]+\.py)::(?P<test>test_\w+)")
JOINTS = ("&&", "||", "|", ";", "&")  # between two commands of a line


@dataclass(frozen=True)
class Block:
    """One ```sh block.

    Attributes:
        document: path from the repository's root.
        line: of its first command, from 1.
        mark: what the comment right above it says; empty where there is none.
        text: its lines.
    """

    document: str
    line: int
    mark: str
    text: str

    @property
    def name(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def needs_cloud(self) -> bool:
        return CLOUD.fullmatch(self.mark) is not None

    @property
    def commands(self) -> list[list[str]]:
        """The words of each command, without comments and without variables set before it."""
        return [command for line in self.text.replace("\\\n", " ").splitlines() for command in split(line)]


def split(line: str) -> list[list[str]]:
    """The commands of a line, each as its words."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    found: list[list[str]] = [[]]
    for word in words:
        if word in JOINTS:
            found.append([])
        elif found[-1] or not re.match(r"\w+=", word):
            found[-1].append(word)
    return [command for command in found if command]


def documents() -> list[Path]:
    """README.md and the pages of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks_of(document: Path) -> list[Block]:
    """The shell blocks of a document, in its order."""
    text, name = document.read_text(encoding="utf-8"), str(document.relative_to(ROOT))
    return [
        Block(name, text.count("\n", 0, found.start("text")) + 1, found["mark"] or "", found["text"])
        for found in BLOCK.finditer(text)
    ]


def all_blocks() -> list[Block]:
    """Every shell block."""
    return [block for document in documents() for block in blocks_of(document)]


def run_by(test: str) -> list[Block]:
    """The blocks that a test of test_shell_blocks.py is said to run."""
    return [block for block in all_blocks() if block.mark == f"run by tests/docs/test_shell_blocks.py::{test}"]


def commands_of(document: Path, module: str) -> list[list[str]]:
    """The commands `python -m MODULE` of a document that need no cloud."""
    blocks = [block for block in blocks_of(document) if not block.needs_cloud]
    return [command for block in blocks for command in block.commands if command[:3] == ["python", "-m", module]]


def replaced(command: list[str], places: Mapping[str, str]) -> list[str]:
    """The command with those of its words replaced that differ from machine to machine; each must be in it."""
    missing = set(places) - set(command)
    assert not missing, f"{' '.join(command)}: there is no {missing}"
    return [places.get(word, word) for word in command]
