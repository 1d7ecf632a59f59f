"""docs/equations.md against the code: each row links to the function that computes it."""

import importlib
import re
from pathlib import Path

ROW = re.compile(r"^\| (?P<place>[^|]+) \| (?P<formula>(?:\\\||[^|])+) \| [^|]+ \| (?P<by>[^|]+) \|$", re.MULTILINE)


def rows(repository: Path) -> list[re.Match[str]]:
    found = list(ROW.finditer((repository / "docs" / "equations.md").read_text(encoding="utf-8")))
    return [row for row in found if row["place"] not in ("place", "---")]


def test_every_function_named_is_where_the_link_says(repository: Path) -> None:
    for row in rows(repository):
        links = re.findall(r"\[`(\w+)`\]\(\.\./platform/([\w/]+)\.py\)", row["by"])
        assert links and len(links) == row["by"].count("]("), row[0]
        for name, path in links:
            found = getattr(importlib.import_module(path.replace("/", ".")), name)
            assert found.__module__ == path.replace("/", "."), f"{name} is only imported in {path}"
