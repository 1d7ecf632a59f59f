"""Reads what docs/grafana.json asks Prometheus for."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SELECTOR = re.compile(r"\b(ray_\w+)(?:\{([^}]*)\})?")
_GROUPED = re.compile(r"\bby \(([^)]*)\)")


@dataclass(frozen=True)
class Selector:
    """A metric, and the labels that its expression looks at."""

    name: str
    labels: frozenset[str]


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    """Those that ask for something; rows are headings."""
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def expressions(path: Path) -> list[str]:
    """Every PromQL expression, those of the variables too."""
    dashboard = json.loads(path.read_text())
    asked = [target["expr"] for panel in panels(dashboard) for target in panel["targets"]]
    return asked + [one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"]


def dashboard_selectors(path: Path) -> set[Selector]:
    """What Grafana looks at; labels that an expression groups by belong to all its metrics."""
    found = set()
    for expression in expressions(path):
        grouped = {label.strip() for group in _GROUPED.findall(expression) for label in group.split(",")}
        for name, matchers in _SELECTOR.findall(expression):
            matched = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers or ""))
            found.add(Selector(name, frozenset(grouped | matched)))
    return found
