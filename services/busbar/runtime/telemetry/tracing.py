"""Traces that follow events: each step is a span, whose context is in the events it causes.

Unless an endpoint is set, tracing is off (ADR 16): OpenTelemetry's SDK is not loaded, and
:func:`span` returns a shared object that does nothing. Parents are passed explicitly, never taken
from the surrounding span: a durable task may run hours later, in another process.

Attributes are names of types, topics, adapters and services, numbers, and ids that busbar made.
Text from producers, backends and receivers is never included, and of an error only its class.
"""

import asyncio
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Final, Literal, Protocol, Self
from urllib.parse import urlsplit

from busbar.kernel.errors import ConfigurationError
from busbar.messages.trace import TraceContext
from busbar.runtime.core.bus import Record

Kind = Literal["server", "client", "consumer"]
Attributes = Mapping[str, str | int]

PATH: Final = "/v1/traces"
FLUSH_SECONDS: Final = 2.0
"""Time to export the last spans when a process stops."""


class Here(Protocol):
    """The current span."""

    @property
    def traceparent(self) -> str | None:
        """The ``traceparent`` for events that this span causes; None if tracing is off."""
        ...

    def rename(self, name: str) -> None:
        """Rename the span, once its name is known."""
        ...

    def set_attributes(self, attributes: Attributes, *, failed: str | None = None) -> None:
        """Add attributes to the span; ``failed`` is the type of the error that it ended with."""
        ...


class _Nowhere:
    """A span that does nothing, for when tracing is off."""

    __slots__ = ()
    traceparent = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Do nothing."""

    def rename(self, _name: str) -> None:
        """Do nothing."""

    def set_attributes(self, _attributes: Attributes, *, failed: str | None = None) -> None:
        """Do nothing."""


NOWHERE: Final = _Nowhere()


class _Tracing:
    """The state of tracing: the tracer and its provider, or None while it is off."""

    def __init__(self) -> None:
        self.tracer: Any = None
        self.provider: Any = None
        self.api: Any = None


_on: Final = _Tracing()


class _Span:
    """An OpenTelemetry span that ends with its block."""

    def __init__(self, name: str, parent: str | None, kind: Kind, attributes: Attributes) -> None:
        api = _on.api
        above, context = TraceContext.parse(parent), api.Context()
        if above is not None:
            remote = api.SpanContext(
                int(above.trace_id, 16), int(above.span_id, 16), True, api.TraceFlags(above.flags)
            )
            context = api.set_span_in_context(api.NonRecordingSpan(remote), context)
        self._span = _on.tracer.start_span(
            name, context, kind=api.SpanKind[kind.upper()], attributes=attributes
        )
        self.traceparent = _written(self._span.get_span_context())

    def __enter__(self) -> Self:
        self._token = _on.api.attach(_on.api.set_span_in_context(self._span))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.set_attributes({}, failed=kind.__name__)
        self._span.end()
        _on.api.detach(self._token)

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def set_attributes(self, attributes: Attributes, *, failed: str | None = None) -> None:
        self._span.set_attributes(attributes)
        if failed is not None:
            self._span.set_attribute("error.type", failed)
            self._span.set_status(_on.api.StatusCode.ERROR, failed)


def span(
    name: str, *, parent: str | None, kind: Kind, attributes: Attributes
) -> AbstractContextManager[Here]:
    """Return a span below the ``traceparent`` ``parent``; without a valid one, start a trace."""
    return NOWHERE if _on.tracer is None else _Span(name, parent, kind, attributes)


def processing(
    service: str, record: Record, type_: str, parent: str | None
) -> AbstractContextManager[Here]:
    """Return a span in which ``service`` handles the event of ``type_`` in ``record``.

    Source: OpenTelemetry's semantic conventions for messaging, and for Kafka.
    """
    if _on.tracer is None:
        return NOWHERE
    attributes: dict[str, str | int] = {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": f"busbar.{service}",
        "messaging.destination.name": record.topic,
        "messaging.destination.partition.id": str(record.partition),
        "messaging.kafka.offset": record.offset,
        "cloudevents.event_type": type_,
    }
    return _Span(f"process {record.topic}", parent, "consumer", attributes)


def current() -> TraceContext | None:
    """Return the context of the current span; None if there is no span, or tracing is off."""
    if _on.tracer is None:
        return None
    return TraceContext.parse(_written(_on.api.get_current_span().get_span_context()))


def _written(context: Any) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def start(*, service: str, endpoint: str, sample: float, version: str) -> None:
    """Start tracing: send a share of ``sample`` of all traces to the collector at ``endpoint``.

    An earlier sampling decision, in the flags of a ``traceparent``, takes precedence.

    Raises:
        ConfigurationError: ``endpoint`` is not an HTTP URL.
    """
    url = urlsplit(endpoint)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigurationError(
            "BUSBAR_OTLP_ENDPOINT is not an http or https URL.",
            fix="Write it like http://127.0.0.1:4318, without /v1/traces.",
        )
    # The SDK is only loaded when tracing is on.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - when used
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - when used

    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + PATH)
    start_with(BatchSpanProcessor(exporter), service=service, sample=sample, version=version)


def start_with(processor: Any, *, service: str, sample: float, version: str) -> None:
    """Start tracing with ``processor``, a span processor of the SDK."""
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - when used
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - when used
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased  # noqa: PLC0415 - when used

    from busbar.runtime.telemetry import tracing_api  # noqa: PLC0415 - when used

    about = {
        "service.name": f"busbar-{service}",
        "service.namespace": "busbar",
        "service.version": version,
    }
    provider = TracerProvider(
        resource=Resource.create(about),
        sampler=ParentBased(TraceIdRatioBased(sample)),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(processor)
    _on.api, _on.provider = tracing_api, provider
    _on.tracer = provider.get_tracer("busbar", version)


async def stop() -> None:
    """Stop tracing; the last spans have two seconds to be exported."""
    provider, _on.tracer, _on.provider = _on.provider, None, None
    if provider is None:
        return
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def shut_down() -> None:
        provider.shutdown()
        loop.call_soon_threadsafe(done.set)

    # A daemon thread: an unreachable collector must not delay the exit of the process.
    threading.Thread(target=shut_down, name="flush-spans", daemon=True).start()
    await asyncio.wait([asyncio.ensure_future(done.wait())], timeout=FLUSH_SECONDS)
