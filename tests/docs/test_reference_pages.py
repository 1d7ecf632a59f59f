"""docs/equations.md and docs/troubleshooting.md against the code: nothing left out, nothing that is not there."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

NUMBERED = {"Eq. 7", "Eq. 8", "Eq. 9", "Eq. 10", "Eq. 11"}  # of the paper, section 4.3
# What the paper defines without a number: the piece of a formula or name by which a row is known.
UNNUMBERED = {
    "3.3": ["Φ(x, v)", "threshold"],
    "B": ["dis(m, n)", "means of `dis`"],
    "4.1": ["mean CLIP(past texts)", "MLP(u)", "q_i > 0", "(g_i · g_j)", "exp(−D_ij / 2σ²)", "log P(Y)", "argmax_Y"],
    "4.2": ["W^V V", "MMA(", "GPT2(", "L_CE"],
    "4.3": ["φ(H)", "s_ij"],
    "4.4": ["CLIP-Align", "CLIP-Score"],
    "5.1": ["beam", "Precision@K", "Div@K", "BLEU-1", "METEOR", "NIST", "Distinct-1", "BERTScore"],
    "Table 6": ["sign test"],
}
SOURCES = ("platform", "jobs", "tuning", "serve_apps")
ROW = re.compile(r"^\| (?P<place>[^|]+) \| (?P<formula>(?:\\\||[^|])+) \| [^|]+ \| (?P<by>[^|]+) \|$", re.MULTILINE)


def rows(repository: Path) -> list[re.Match[str]]:
    found = list(ROW.finditer((repository / "docs" / "equations.md").read_text(encoding="utf-8")))
    return [row for row in found if row["place"] not in ("place", "---")]


def test_every_equation_has_a_row(repository: Path) -> None:
    found = rows(repository)
    assert {row["place"] for row in found} == NUMBERED | set(UNNUMBERED)
    for place, pieces in UNNUMBERED.items():
        for piece in pieces:
            assert [row for row in found if row["place"] == place and piece in row["formula"]], f"{place}: {piece}"


def test_every_function_named_is_where_the_link_says(repository: Path) -> None:
    for row in rows(repository):
        links = re.findall(r"\[`(\w+)`\]\(\.\./platform/([\w/]+)\.py\)", row["by"])
        assert links and len(links) == row["by"].count("]("), row[0]
        for name, path in links:
            found = getattr(importlib.import_module(path.replace("/", ".")), name)
            assert found.__module__ == path.replace("/", "."), f"{name} is only imported in {path}"


def entries(repository: Path) -> dict[str, str]:
    """The text under each heading of docs/troubleshooting.md."""
    parts = re.split(
        r"^##+ (.+)\n", (repository / "docs" / "troubleshooting.md").read_text("utf-8"), flags=re.MULTILINE
    )
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_error_class_has_an_entry(repository: Path) -> None:
    found = entries(repository)
    named = {name for name in found if name.endswith("Error")}
    assert named == errors_of_the_project(repository)
    assert all(found[name].strip() for name in named)


def errors_of_the_project(repository: Path) -> set[str]:
    """Names of ShowcasesError and all classes below it, by their bases' names; no module is imported for it."""
    bases = {
        node.name: [base.id for base in node.bases if isinstance(base, ast.Name)]
        for tree in trees(repository)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }

    def is_ours(name: str) -> bool:
        return name == "ShowcasesError" or any(is_ours(base) for base in bases.get(name, ()))

    return {name for name in bases if is_ours(name)}


@cache
def trees(repository: Path) -> list[ast.Module]:
    return [ast.parse(path.read_text("utf-8")) for folder in SOURCES for path in (repository / folder).rglob("*.py")]


@cache
def strings(repository: Path) -> str:
    """Every text in the sources, a line each, with … for what is put in."""
    found = []
    for node in (node for tree in trees(repository) for node in ast.walk(tree)):
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
            found.append("".join(map(str, parts)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append(re.sub(r"\{\w+\}", "…", node.value))
    return "\n".join(found)


def messages(repository: Path) -> list[str]:
    return [
        found
        for name, text in entries(repository).items()
        if name.endswith("Error")
        for found in re.findall(r"^\| `([^`]+)` \|", text, flags=re.MULTILINE)
    ]


def test_messages_are_those_of_the_code(repository: Path) -> None:
    told = messages(repository)
    assert len(told) > 30
    said = re.sub(r"(?:…[^\S\n]*)+", "…", strings(repository))
    missing = [message for message in told if re.sub(r"(?:…[^\S\n]*)+", "…", message) not in said]
    assert missing == []


@pytest.mark.parametrize("text", ["a message that nobody says", "no finished artifact here"])
def test_a_made_up_message_is_found(text: str, repository: Path) -> None:
    assert text not in strings(repository)
