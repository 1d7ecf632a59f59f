"""docs/grafana.json: a dashboard that Grafana takes; test_operations.py scrapes its metrics."""

import json
import re
from pathlib import Path

import pytest

from tests.serve.dashboard import dashboard_selectors, expressions


@pytest.fixture
def dashboard(repository: Path) -> dict:
    return json.loads((repository / "docs" / "grafana.json").read_text())


def test_variables_that_are_used_are_defined(dashboard: dict, repository: Path) -> None:
    known = {one["name"] for one in dashboard["templating"]["list"]} | {"__rate_interval", "__range"}
    used = {name for text in expressions(repository / "docs" / "grafana.json") for name in re.findall(r"\$(\w+)", text)}
    assert used <= known and "application" in used


def test_it_shows_every_metric_of_the_service(repository: Path) -> None:
    from serve_apps.observability import metrics

    shown = {one.name for one in dashboard_selectors(repository / "docs" / "grafana.json")}
    for metric in metrics.ALL:
        names = {metric.exported} | {f"{metric.exported}_{part}" for part in ("bucket", "count", "sum")}
        assert names & shown, metric.exported


def test_the_docs_name_every_metric_with_its_labels(repository: Path) -> None:
    from serve_apps.observability import metrics

    rows = dict(re.findall(r"^\| `(ray_\w+)` \| (.*) \|$", (repository / "docs" / "serving.md").read_text(), re.M))
    for metric in metrics.ALL:
        told = rows[metric.exported].split(" | ")
        assert set(re.findall(r"`(\w+)`", told[0])) == set(metric.labels), metric.exported
