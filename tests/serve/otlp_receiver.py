"""A real OTLP receiver over HTTP: parses the protobuf, keeps the spans."""

import gzip
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Span:
    """Ids as hex; `deployment` is the process that made it."""

    trace: str
    id: str
    parent: str
    name: str
    deployment: str
    attributes: dict[str, Any]
    links: list[tuple[str, str]]  # trace, span
    took_ns: int
    failed: bool


@dataclass
class Receiver:
    """What came so far."""

    endpoint: str
    spans: list[Span] = field(default_factory=list)

    def wait(self, trace: str, count: int, seconds: float = 30) -> list[Span]:
        """The trace's spans, as soon as there are so many."""
        deadline = time.monotonic() + seconds
        while len(found := [one for one in self.spans if one.trace == trace]) < count:
            assert time.monotonic() < deadline, [one.name for one in found]
            time.sleep(0.05)
        return found


def receive() -> tuple[Receiver, ThreadingHTTPServer]:
    """Starts a receiver on a free port; shut the server down in the end."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            told.spans.extend(parsed(ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told = Receiver(f"http://127.0.0.1:{server.server_address[1]}/v1/traces")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return told, server


def parsed(request: ExportTraceServiceRequest) -> list[Span]:
    return [
        Span(
            trace=span.trace_id.hex(),
            id=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            name=span.name,
            deployment=_values(resource.resource.attributes)["showcases.deployment"],
            attributes=_values(span.attributes),
            links=[(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
            took_ns=span.end_time_unix_nano - span.start_time_unix_nano,
            failed=span.status.code == 2,  # STATUS_CODE_ERROR
        )
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}
