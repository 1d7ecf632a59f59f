"""The plain application, without Ray: what is counted, logged and traced of answers and refusals of every kind."""

import asyncio
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from logging.handlers import MemoryHandler
from pathlib import Path

import httpx
import pytest

from serve_apps.api.app import create_api
from serve_apps.observability import lines, logs, metrics, replica, samples, traces
from serve_apps.observability.config import OperationsConfig
from serve_apps.observability.context import current_context, use_context
from serve_apps.observability.lines import JsonLines
from serve_apps.observability.observe import Routes
from tests.serve.access.test_degraded import WISH, Models
from tests.serve.otlp_receiver import receive

SECRET = "sc_0123456789ab_" + "S3cr3t" * 6 + "xx"


@pytest.fixture(autouse=True)
def records_as_before() -> Iterator[None]:
    """The protection masks the records of its whole process: after each test here, no longer."""
    factory = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(factory)


@dataclass
class Recorded:
    """What was recorded, by metric and labels, in place of Ray's exporter."""

    values: dict[tuple, list[float]] = field(default_factory=dict)

    def add(self, metric: metrics.Metric, value: float = 1.0, /, **labels: str) -> None:
        assert set(labels) == set(metric.labels), metric.name
        self.values.setdefault((metric.name, *(labels[name] for name in metric.labels)), []).append(value)

    def names(self) -> set[str]:
        return {key[0] for key in self.values}


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Recorded:
    made = Recorded()
    monkeypatch.setattr(metrics.Metric, "record", lambda *args, **labels: made.add(*args, **labels))
    return made


@pytest.fixture
def told() -> Iterator[list[dict]]:
    """Every line of Serve's logger, as JSON lines have it."""
    kept: list[dict] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            kept.append(json.loads(self.format(record)))

    logs.install()
    handler, logger = Kept(), logging.getLogger("ray.serve")
    handler.setFormatter(JsonLines("Gateway", "one"))
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield kept
    logger.removeHandler(handler)
    logger.setLevel(level)


def ask(api, *requests: tuple[str, str, dict]) -> list[httpx.Response]:
    async def run() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as client:
            return [await client.request(method, path, **options) for method, path, options in requests]

    return asyncio.run(run())


def ready() -> Models:
    return Models()


def test_each_answer_counts_once_by_template_and_status(recorded: Recorded) -> None:
    unknown = [("GET", "/../etc/passwd", {}), ("BREW", "/healthz", {})]
    wishes = [("POST", "/v1/showcases", {"json": WISH}), ("POST", "/v1/showcases", {"json": {"k": 99}})]
    long = [("GET", "/v1/photos/" + "x" * 5000, {}), ("GET", "/v1/users/me/reviews?" + "x" * 5000, {})]
    answers = ask(create_api(ready()), *unknown, *wishes, *long)
    counted = {key[1:]: len(values) for key, values in recorded.values.items() if key[0] == "showcases_requests"}
    routes = ["unmatched", "/healthz", "/v1/showcases", "/v1/showcases", "/v1/photos/{photo_id}"]
    routes.append("/v1/users/{user_id}/reviews")
    methods = ["GET", "other", "POST", "POST", "GET", "GET"]
    expected = [
        (*both, str(answer.status_code))
        for both, answer in zip(zip(methods, routes, strict=True), answers, strict=True)
    ]
    assert counted == dict.fromkeys(expected, 1) and len(expected) == 6
    assert [answer.status_code for answer in answers] == [404, 405, 200, 422, 414, 414]
    assert recorded.values["showcases_refusals", "gateway", "request_uri_too_long"] == [1, 1]
    assert len(recorded.values["showcases_stage_seconds", "selection"]) == 1
    assert len(recorded.values["showcases_stage_seconds", "explanation"]) == 1


def test_every_path_of_the_interface_is_its_own_template() -> None:
    api = create_api(ready())
    routes = Routes(api)
    for path in api.openapi()["paths"]:
        asked = path.replace("{", "").replace("}", "")
        assert routes.template({"path": asked}) == path
        assert routes.template({"path": f"/below{asked}", "root_path": "/below"}) == path
    assert routes.template({"path": "/v1/photos/a/b"}) == "unmatched"


def test_what_a_full_generator_does_is_counted(recorded: Recorded) -> None:
    models = Models()
    models.full = True
    ask(create_api(models), ("POST", "/v1/showcases", {"json": WISH}))
    assert recorded.values["showcases_degraded",] == [1]


def test_gauges_name_what_answers(recorded: Recorded) -> None:
    models = Models()
    models.champions.champion = models.champions.answering("")
    models.champions.candidate, models.catalog.version = None, "v-7"
    samples.sample(models)
    assert recorded.values["showcases_catalog_info", "v-7"] == [1]
    assert recorded.values["showcases_model_info", "selector", "selector", "1", "champion"] == [1]


def test_one_line_a_request_with_all_that_is_known_and_no_secret(recorded: Recorded, told: list[dict]) -> None:
    headers = {"x-request-id": "r-1", "authorization": f"Bearer {SECRET}"}
    sent = {"json": WISH, "headers": headers}
    other = {"json": WISH, "headers": headers | {"x-request-id": "r-2"}}
    api = create_api(ready())
    answer, refused = ask(api, ("POST", "/v1/showcases", sent), ("POST", f"/v1/showcases?key={SECRET}", other))
    assert refused.status_code == 422 and SECRET[16:] not in refused.text
    [line] = [one for one in told if one["request_id"] == "r-1"]
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/showcases", 200)
    assert (line["tenant"], line["key_id"], line["deployment"], line["level"]) == ("local", None, "Gateway", "INFO")
    assert line["models"] == {"selector": "selector:1@champion", "generator": "generator:1@champion"}
    assert line["stages_ms"] == answer.json()["timings"] and SECRET[16:] not in str(told)


def test_the_terminal_keeps_to_warnings_where_there_is_a_file_and_text_stays_serves_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal, file = logging.StreamHandler(), logging.FileHandler(tmp_path / "replica.log")
    monkeypatch.setattr(lines.logger, "handlers", [terminal])
    lines.install("text", "Gateway")
    assert terminal.level == logging.NOTSET  # nobody would see a request otherwise
    monkeypatch.setattr(lines.logger, "handlers", [terminal, MemoryHandler(1, target=file)])
    lines.install("text", "Gateway")
    assert terminal.level == logging.WARNING and file.level == logging.NOTSET and file.formatter is None
    file.close()


def test_a_failure_is_one_line_with_its_trace_and_one_with_its_status(recorded: Recorded, told: list[dict]) -> None:
    models = ready()

    async def broken(*_: object) -> None:
        raise RuntimeError(f"no luck with {SECRET}")

    models.select = broken  # type: ignore[method-assign]
    ask(create_api(models), ("POST", "/v1/selections", {"json": WISH, "headers": {"x-request-id": "r-2"}}))
    failure, line = [one for one in told if one["request_id"] == "r-2"]
    assert "RuntimeError: no luck with sc_0123456789ab_[masked]" in failure["error"] and line["status"] == 500


def test_a_batch_tells_of_all_its_requests_and_carries_none_of_them(recorded: Recorded, told: list[dict]) -> None:
    def run(factor: int, items: list[int]) -> list[int]:
        with replica.phase("choose"):
            logging.getLogger("ray.serve").warning("slow")
            assert "traceparent" not in current_context()
            return [factor * item for item in items]

    queued = [replica.Queued(item, {"request_id": f"r-{item}"}) for item in (1, 2, 3)]
    with use_context({"request_id": "r-1", "traceparent": "of the first"}):  # as Serve runs it
        assert replica.in_batch("select", run)(10, queued) == [10, 20, 30]
    assert told[-1]["request_id"] == "r-1,r-2,r-3"
    assert recorded.values["showcases_batched", "select"] == [3] and recorded.values["showcases_batches", "select"] == [
        1
    ]
    [took] = recorded.values["showcases_phase_seconds", "choose"]
    assert 0 <= took < 60


def test_spans_of_a_batch_go_to_the_requests_that_are_traced() -> None:
    receiver, server = receive()
    traces.install(OperationsConfig(otlp_endpoint=receiver.endpoint, traced_share=1), "Selector")
    ids = [("a" * 32, "1" * 16, "01"), ("b" * 32, "2" * 16, "01"), ("c" * 32, "3" * 16, "00")]
    parents = [{"request_id": trace[:2], "traceparent": f"00-{trace}-{span}-{flag}"} for trace, span, flag in ids]
    try:
        whole = traces.Phase("select batch", 1_000, 9_000)
        phases = [traces.Phase("look-up", 1_000, 4_000), traces.Phase("choose", 5_000, 9_000)]
        traces.record_batch(parents, phases, whole)
        traces.install(OperationsConfig(), "Selector")  # sends what was kept
    finally:
        server.shutdown()
        server.server_close()
    [batch] = [one for one in receiver.spans if one.name == "select batch"]
    assert batch.links == [ids[0][:2], ids[1][:2]] and batch.attributes["showcases.batch.size"] == 3
    rest = {(one.trace, one.parent, one.name, one.took_ns) for one in receiver.spans if one != batch}
    assert rest == {(*one[:2], *phase) for one in ids[:2] for phase in (("look-up", 3_000), ("choose", 4_000))}
    assert all(one.links == [(batch.trace, batch.id)] for one in receiver.spans if one != batch)


def test_a_span_that_fails_says_so_by_its_type_alone() -> None:
    receiver, server = receive()
    traces.install(OperationsConfig(otlp_endpoint=receiver.endpoint, traced_share=1), "Gateway")
    try:
        with pytest.raises(RuntimeError), traces.span("selection"):
            raise RuntimeError(SECRET)
        traces.install(OperationsConfig(), "Gateway")
    finally:
        server.shutdown()
        server.server_close()
    [span] = receiver.spans
    assert span.failed and SECRET not in str(span) and current_context() == {}
