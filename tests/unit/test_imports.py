"""Who imports whom: no circle, nothing imports upwards, and every room has its floor.

Read from the source, imports within functions included; those for type checking alone are left out.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PARTS = {"showcases": "platform", "showcases_demo": "platform", "jobs": ".", "tuning": ".", "serve_apps": "."}
MAY_IMPORT = {  # of the other parts
    "showcases": set[str](),
    "showcases_demo": {"showcases"},
    "jobs": {"showcases", "showcases_demo"},
    "tuning": {"showcases", "showcases_demo", "jobs"},
    "serve_apps": {"showcases"},
}
EXCEPTIONS = {("jobs.demo", "serve_apps")}  # the demo asks a running service for a showcase


@cache
def modules() -> dict[str, Path]:
    """Every module of the parts by its dotted name; a package by its own."""
    found = {}
    for part, source in PARTS.items():
        for file in (REPOSITORY / source / part).rglob("*.py"):
            names = file.relative_to(REPOSITORY / source).with_suffix("").parts
            found[".".join(name for name in names if name != "__init__")] = file
    return found


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those under `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(tree):
        yield child
        yield from nodes(child) if not is_type_checking(child) else ()


def imports_of(name: str, file: Path) -> set[str]:
    found = set()
    for node in nodes(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in modules() else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {each for each in found if each in modules()} - {name}


@cache
def graph() -> dict[str, set[str]]:
    return {name: imports_of(name, file) for name, file in modules().items()}


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Groups of nodes that reach each other: strongly connected components of two or more (by paths, a slow truth)."""
    reach: dict[str, set[str]] = {}
    for start in edges:
        seen, waiting = set[str](), list(edges[start])
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting += edges.get(node, ())
        reach[start] = seen
    groups = {tuple(sorted(other for other in edges if other in reach[one] and one in reach[other])) for one in edges}
    return [list(group) for group in sorted(groups) if len(group) > 1]


def room(name: str) -> str:
    """The folder that a module is in; a module at the root of a part stands for itself."""
    names = name.split(".")
    if len(names) == 1:
        return name
    source = REPOSITORY / PARTS[names[0]] / names[0] / names[1]
    return ".".join(names[:2]) if source.is_dir() or names[0] != "showcases" else name


def test_the_search_finds_a_circle() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}, "e": set()}) == [["a", "b", "c"]]
    assert "jobs.runner.config" in graph()["jobs.pipeline"]


def test_no_module_imports_itself_around_a_circle() -> None:
    assert circles(graph()) == []


def test_no_room_imports_itself_around_a_circle() -> None:
    rooms: dict[str, set[str]] = {}
    for name, imported in graph().items():
        others = {room(each) for each in imported} - {room(name)}
        rooms.setdefault(room(name), set()).update(others - {name.partition(".")[0]})
    assert circles(rooms) == []


@pytest.mark.parametrize("part", PARTS)
def test_a_part_imports_only_those_below_it(part: str) -> None:
    wrong = [
        (name, other)
        for name, imported in graph().items()
        if name.partition(".")[0] == part
        for other in sorted({each.partition(".")[0] for each in imported} - {part} - MAY_IMPORT[part])
        if (name, other) not in EXCEPTIONS
    ]
    assert wrong == []


def test_the_root_of_jobs_has_commands_alone() -> None:
    for file in sorted((REPOSITORY / "jobs").glob("*.py")):
        if file.name != "__init__.py":
            assert '__name__ == "__main__"' in file.read_text(encoding="utf-8"), f"{file.name} is no command"
