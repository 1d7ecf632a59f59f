"""docs/grafana.json: a dashboard that Grafana takes; its metrics are scraped in tests/serve/test_operations.py."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest

from tests.serve.dashboard import dashboard_selectors, expressions, panels


@pytest.fixture
def dashboard(repository: Path) -> dict:
    return json.loads((repository / "docs" / "grafana.json").read_text())


def test_every_panel_has_an_id_a_place_of_its_own_and_something_to_say(dashboard: dict) -> None:
    every = dashboard["panels"]
    ids = [panel["id"] for panel in every]
    assert len(set(ids)) == len(ids) > 20 and dashboard["schemaVersion"] >= 39
    for one, other in combinations([panel["gridPos"] for panel in every], 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in (panel["gridPos"] for panel in every))
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels(dashboard))


def test_the_data_source_is_chosen_where_the_file_is_imported(dashboard: dict) -> None:
    source = next(one for one in dashboard["templating"]["list"] if one["type"] == "datasource")
    assert source["query"] == "prometheus"
    used = [panel["datasource"] for panel in panels(dashboard)]
    used += [target["datasource"] for panel in panels(dashboard) for target in panel["targets"]]
    assert all(one == {"type": "prometheus", "uid": f"${{{source['name']}}}"} for one in used)
    assert not re.search(r'"uid": "(?!\$\{datasource\}|showcases)', json.dumps(dashboard))


def test_variables_that_are_used_are_defined(dashboard: dict, repository: Path) -> None:
    known = {one["name"] for one in dashboard["templating"]["list"]} | {"__rate_interval", "__range"}
    used = {name for text in expressions(repository / "docs" / "grafana.json") for name in re.findall(r"\$(\w+)", text)}
    assert used <= known and "application" in used


def test_it_shows_every_metric_of_the_service(repository: Path) -> None:
    from serve_apps.operations import metrics

    shown = {one.name for one in dashboard_selectors(repository / "docs" / "grafana.json")}
    for metric in metrics.ALL:
        names = {metric.exported} | {f"{metric.exported}_{part}" for part in ("bucket", "count", "sum")}
        assert names & shown, metric.exported


def test_the_docs_name_every_metric_with_its_labels(repository: Path) -> None:
    from serve_apps.operations import metrics

    rows = dict(re.findall(r"^\| `(ray_\w+)` \| (.*) \|$", (repository / "docs" / "serving.md").read_text(), re.M))
    for metric in metrics.ALL:
        told = rows[metric.exported].split(" | ")
        assert set(re.findall(r"`(\w+)`", told[0])) == set(metric.labels), metric.exported
