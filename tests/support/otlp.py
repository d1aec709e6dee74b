"""A collector for tests: takes OTLP over HTTP and keeps the spans."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from support.tracing import SpanRecord

PATH = "/v1/traces"


class Collector:
    """The spans that were received."""

    def __init__(self) -> None:
        self.url = ""
        self.requests = 0
        self._spans: list[SpanRecord] = []
        self._turn = threading.Lock()

    def take(self, body: bytes) -> None:
        """Keep the spans of one request."""
        request = ExportTraceServiceRequest.FromString(body)
        found = []
        for resource in request.resource_spans:
            about = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                found += [_record_of(span, about["service.name"]) for span in scope.spans]
        with self._turn:
            self.requests += 1
            self._spans += found

    def spans(self, trace_id: str) -> list[SpanRecord]:
        """Those of one trace."""
        with self._turn:
            return [span for span in self._spans if span.trace_id == trace_id]


def _record_of(span: Span, service: str) -> SpanRecord:
    return SpanRecord(
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        service=service,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        attributes={
            one.key: getattr(one.value, one.value.WhichOneof("value") or "string_value")
            for one in span.attributes
        },
        error=span.status.message or None,
        flags=span.flags & 0xFF,
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens during the block."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            assert self.path == PATH
            collector.take(self.rfile.read(length))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
