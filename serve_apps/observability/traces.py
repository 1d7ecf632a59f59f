"""OpenTelemetry spans, exported by OTLP over HTTP; nothing is imported if no endpoint is configured.

Parent spans come from `RequestContext` and not from OpenTelemetry's context, since a request spans several processes
and a batch several requests.
"""

import contextlib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from serve_apps.observability.config import OperationsConfig
from serve_apps.observability.context import RequestContext, current_context, use_context

SEND_EVERY_MS = 1000
SEND_TIMEOUT_S = 5
_tracing: "Tracing | None" = None


def install(config: OperationsConfig, deployment: str) -> None:
    """Enable or disable tracing in this process."""
    global _tracing
    close()
    _tracing = Tracing(config.otlp_endpoint, config.traced_share, deployment) if config.otlp_endpoint else None


def close() -> None:
    """Flush pending spans."""
    if _tracing is not None:
        _tracing.provider.shutdown()


@dataclass(frozen=True)
class Phase:
    """A phase of a batch; times in ns since the epoch."""

    name: str
    began: int
    ended: int


@contextlib.contextmanager
def span(name: str, server: bool = False, **attributes: str) -> Iterator[dict[str, Any]]:
    """A child span of the current context, current inside the block; entries of the dict become attributes.

    Args:
        server: whether it handles an incoming request.
    """
    if _tracing is None:
        yield {}
        return
    found: dict[str, Any] = {}
    started = _tracing.start(name, current_context(), server, attributes)
    try:
        with use_context(_tracing.context_inside(started, current_context())):
            yield found
    except BaseException as error:
        _tracing.failed(started, error)
        raise
    finally:
        started.set_attributes(found)
        if found.get("http.response.status_code", 0) >= 500:
            _tracing.failed(started, None)
        started.end()


def record_batch(requests: Sequence[RequestContext], phases: Sequence[Phase], whole: Phase) -> None:
    """Record a finished batch: a span for itself, linked with a span per phase in every request's trace."""
    if _tracing is not None:
        _tracing.record_batch(requests, phases, whole)


class Tracing:
    """Tracing of one process."""

    def __init__(self, endpoint: str, share: float, deployment: str) -> None:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        named = {"service.name": "showcases", "showcases.deployment": deployment, "host.name": socket.gethostname()}
        self.provider = TracerProvider(ParentBased(TraceIdRatioBased(share)), Resource.create(named))
        exporter = OTLPSpanExporter(endpoint, timeout=SEND_TIMEOUT_S)
        self.provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=SEND_EVERY_MS))
        self.tracer = self.provider.get_tracer("serve_apps")
        self.propagator = TraceContextTextMapPropagator()

    def start(self, name: str, under: RequestContext, server: bool, attributes: dict[str, str]) -> Any:
        from opentelemetry.trace import SpanKind

        kind = SpanKind.SERVER if server else SpanKind.INTERNAL
        return self.tracer.start_span(name, self.propagator.extract(under), kind, attributes)

    def context_inside(self, started: Any, before: RequestContext) -> RequestContext:
        """The context inside a span."""
        from opentelemetry.trace import set_span_in_context

        context = dict(before)
        self.propagator.inject(context, set_span_in_context(started))
        return context

    def failed(self, started: Any, error: BaseException | None) -> None:
        """Mark a span as failed with the error's type; messages may contain user content."""
        from opentelemetry.trace import Status, StatusCode

        started.set_status(Status(StatusCode.ERROR, type(error).__name__ if error else None))

    def record_batch(self, requests: Sequence[RequestContext], phases: Sequence[Phase], whole: Phase) -> None:
        from opentelemetry.trace import Link, get_current_span

        contexts = [self.propagator.extract(one) for one in requests]
        of = [get_current_span(context).get_span_context() for context in contexts]
        traced = [(context, span) for context, span in zip(contexts, of, strict=True) if span.trace_flags.sampled]
        if not traced:
            return
        links = [Link(span) for _, span in traced]
        size = {"showcases.batch.size": len(requests)}
        batch = self.tracer.start_span(whole.name, traced[0][0], attributes=size, links=links, start_time=whole.began)
        batch.end(whole.ended)
        back = [Link(batch.get_span_context())]
        for context, _ in traced:
            for phase in phases:
                one = self.tracer.start_span(phase.name, context, links=back, start_time=phase.began)
                one.end(phase.ended)
