"""What the running service tells of itself: scraped at Ray's port, received by OTLP, read from its log files."""

import json
import re
import socket
import time
import urllib.request
import uuid
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import ray

from serve_apps.run import metrics_url
from tests.serve.dashboard import Selector, dashboard_selectors
from tests.serve.otlp_receiver import Receiver, Span

pytestmark = pytest.mark.ray
Series = list[tuple[str, dict[str, str], float]]


def scrape() -> Series:
    """Name, labels and value of every sample that the cluster's node exports."""
    with urllib.request.urlopen(metrics_url(), timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    samples = (re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line) for line in lines if not line.startswith("#"))
    return [
        (found[1], dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or "")), float(found[3]))
        for found in samples
        if found
    ]


def total(series: Series, name: str, **labels: str) -> float:
    return sum(value for own, has, value in series if own == name and labels.items() <= has.items())


def scraped_when(holds: Callable[[Series], bool], seconds: float = 60) -> Series:
    """Ray's processes send what they recorded every second here, every ten as a rule."""
    deadline = time.monotonic() + seconds
    while not holds(series := scrape()):
        assert time.monotonic() < deadline, sorted({name for name, _, _ in series if "showcases" in name})
        time.sleep(0.5)
    return series


def settled() -> Series:
    """What is exported once no news of earlier requests come any more."""
    previous: Series = []
    while (series := scrape()) and _counts(series) != _counts(previous):
        previous = series
        time.sleep(3)
    return series


def _counts(series: Series) -> dict[str, float]:
    """But for the scrape's own and Ray's."""
    counted = {name for name, _, _ in series if re.fullmatch(r"ray_showcases_\w+(_total|_count)", name)}
    return {name: total(series, name) for name in counted}


@pytest.fixture(scope="module")
def wish(service: str) -> dict:
    [place] = httpx.get(f"{service}/v1/businesses?limit=1").json()["items"]
    [user] = httpx.get(f"{service}/v1/users?limit=1").json()["items"]
    return {"user_id": user["user_id"], "business_id": place["business_id"], "k": 3}


def traced(service: str, path: str, body: dict, accept: str = "application/json") -> tuple[str, str, httpx.Response]:
    """Trace id, the caller's span, and the answer."""
    trace, caller = uuid.uuid4().hex, uuid.uuid4().hex[:16]
    headers = {"traceparent": f"00-{trace}-{caller}-01", "x-request-id": f"req-{trace}", "accept": accept}
    return trace, caller, httpx.post(f"{service}{path}", json=body, headers=headers, timeout=60)


def tree(spans: list[Span], caller: str) -> set[tuple[str, str, str]]:
    """Deployment, span and its parent's name."""
    names = {one.id: one.name for one in spans} | {caller: "the caller"}
    return {(one.deployment, one.name, names[one.parent]) for one in spans}


ROOT = ("Gateway", "POST /v1/showcases", "the caller")
SELECTED = {
    ROOT,
    ("Gateway", "selection", "POST /v1/showcases"),
    ("Selector", "select", "selection"),
    ("Selector", "look-up", "selection"),
    ("Selector", "choose", "selection"),
    ("Gateway", "explanation", "POST /v1/showcases"),
}


def test_one_trace_has_the_request_from_the_caller_to_the_replicas(service: str, spans: Receiver, wish: dict) -> None:
    trace, caller, answer = traced(service, "/v1/showcases", wish)
    assert answer.status_code == 200
    found = spans.wait(trace, 9)
    written = {("Generator", name, "explanation") for name in ("write batch", "write", "cite")}
    assert tree(found, caller) == SELECTED - {("Selector", "select", "selection")} | written | {
        ("Selector", "select batch", "selection")
    }
    by_name = {one.name: one for one in found}
    root = by_name["POST /v1/showcases"]
    assert root.attributes["http.route"] == "/v1/showcases" and root.attributes["http.response.status_code"] == 200
    assert root.attributes["showcases.request_id"] == f"req-{trace}" == answer.json()["request_id"]
    for batch, phases in (("select batch", ("choose",)), ("write batch", ("write", "cite"))):
        parent = by_name[phases[0]].parent
        assert by_name[batch].links == [(trace, parent)] and by_name[batch].attributes["showcases.batch.size"] == 1
        assert all(by_name[phase].links == [(trace, by_name[batch].id)] for phase in phases)
        assert by_name["look-up"].links == []  # before it is in a batch
        assert by_name[batch].took_ns >= sum(by_name[phase].took_ns for phase in phases)


def test_a_streamed_text_is_traced_to_its_end(service: str, spans: Receiver, wish: dict) -> None:
    trace, caller, answer = traced(service, "/v1/showcases", wish, accept="text/event-stream")
    assert "event: showcase" in answer.text
    found = tree(spans.wait(trace, 8), caller)
    assert {("Generator", "write", "explanation"), ("Generator", "cite", "explanation")} <= found


def test_a_caller_who_does_not_trace_is_not_traced(service: str, spans: Receiver, wish: dict) -> None:
    unsampled, known = uuid.uuid4().hex, uuid.uuid4().hex
    for trace, flag in ((unsampled, "00"), (known, "01")):
        httpx.get(f"{service}/healthz", headers={"traceparent": f"00-{trace}-{trace[:16]}-{flag}"})
    spans.wait(known, 1)  # that of the same process which came first would be there
    assert not [one for one in spans.spans if one.trace == unsampled]


def test_a_client_that_has_gone_ends_its_request(service: str, wish: dict) -> None:
    """Serve's proxy tells the gateway, which begins to ask itself only after a second."""
    place, body = urlsplit(service), json.dumps({**wish, "n": 5}).encode()
    head = f"POST /v1/showcases HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    for _ in range(10):
        with socket.create_connection((place.hostname, place.port)) as connection:
            connection.sendall(head.encode() + b"\r\n\r\n" + body)
            time.sleep(0.01)  # it is on its way
    scraped_when(lambda series: total(series, "ray_showcases_requests_total", status="499") > 0)


def test_the_metrics_count_what_happened(service: str, wish: dict) -> None:
    def photos(series: Series) -> float:
        return total(series, "ray_showcases_requests_total", route="/v1/photos/{photo_id}", status="404")

    def texts(series: Series) -> float:
        return total(series, "ray_showcases_align_count", alias="champion")

    def tokens(series: Series) -> float:
        return total(series, "ray_showcases_tokens_total")

    def selections(series: Series) -> float:
        return total(series, "ray_showcases_stage_seconds_count", stage="selection")

    def refused(series: Series) -> float:
        reason = {"stage": "gateway", "reason": "request_uri_too_long"}
        return total(series, "ray_showcases_refusals_total", **reason)

    def there(series: Series) -> bool:  # each process exports its own, in its own time
        came = [texts(series) - texts(before) >= 2, photos(series) - photos(before) >= 3]
        return all(came) and tokens(series) > tokens(before) + 2 * 5 and selections(series) >= selections(before) + 2

    names = [uuid.uuid4().hex for _ in range(3)]
    before = settled()
    answers = [httpx.post(f"{service}/v1/showcases", json=wish, timeout=60) for _ in range(2)]
    assert [httpx.get(f"{service}/v1/photos/{name}").status_code for name in names] == [404] * 3
    assert httpx.get(f"{service}/v1/photos/{'x' * 5000}").status_code == 414
    after = scraped_when(lambda series: there(series) and refused(series) >= 1)
    assert photos(after) == photos(before) + 3
    assert not any(name in str(labels) for name in names for _, labels, _ in after)  # no series of an id
    said = sum(sum(row["score"] for row in one["sentences"]) / len(one["sentences"]) for one in map(_body, answers))
    grown = total(after, "ray_showcases_align_values_total") - total(before, "ray_showcases_align_values_total")
    assert grown == pytest.approx(said, rel=1e-6)
    assert selections(after) - selections(before) == 2
    assert tokens(after) - tokens(before) > 2 * 5
    assert refused(after) >= 1


def _body(answer: httpx.Response) -> dict:
    assert answer.status_code == 200
    return dict(answer.json())


def test_every_metric_of_the_dashboard_is_exported_with_its_labels(service: str, wish: dict, repository: Path) -> None:
    httpx.post(f"{service}/v1/showcases", json=wish, timeout=60)
    wanted = dashboard_selectors(repository / "docs" / "grafana.json")
    assert len({one.name for one in wanted}) > 15

    def missing(series: Series) -> list[Selector]:
        labels: dict[str, set[str]] = {}
        for name, has, _ in series:
            labels.setdefault(name, set()).update(has)
        return [one for one in wanted if one.name not in labels or not one.labels <= labels[one.name]]

    assert missing(scraped_when(lambda series: not missing(series))) == []


def test_the_same_request_id_stands_in_the_lines_of_every_deployment(service: str, wish: dict) -> None:
    name = uuid.uuid4().hex
    headers = {"x-request-id": name, "authorization": "Bearer hidden"}
    answer = httpx.post(f"{service}/v1/showcases", json=wish, headers=headers, timeout=60)
    folder = Path(ray._private.worker._global_node.get_logs_dir_path()) / "serve"
    deadline, lines = time.monotonic() + 20, []
    while len(lines) < 3 and time.monotonic() < deadline:
        texts = [path.read_text() for path in folder.glob("replica_*.log")]
        lines = [json.loads(line) for text in texts for line in text.splitlines() if name in line]
        time.sleep(0.1)
    by = {line["deployment"]: line for line in lines}
    assert set(by) == {"Gateway", "Selector", "Generator"} and {line["request_id"] for line in lines} == {name}
    [access] = [line for line in lines if "route" in line]
    models = answer.json()["models"]
    assert (access["route"], access["status"], access["tenant"]) == ("/v1/showcases", 200, "local")
    assert access["models"]["selector"] == "{name}:{version}@{alias}".format(**models["selector"])
    assert access["stages_ms"] == answer.json()["timings"]
    assert access["duration_ms"] >= sum(access["stages_ms"].values())
    assert by["Generator"]["version"] == models["generator"]["version"] and by["Generator"]["outcome"] == "ok"
    assert "hidden" not in str(lines)
