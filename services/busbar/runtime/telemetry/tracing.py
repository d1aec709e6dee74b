"""Traces that go where events go: a span for what is done, its context in what follows (ADR 16).

Off, which is unless an endpoint is set, nothing of OpenTelemetry's SDK is loaded and :func:`span`
gives the one object that does nothing. Parents are given by name and never taken from what happens
to run around: a durable task may be worked on hours later, in another process.

Attributes are names of types, topics, adapters and services, numbers and ids of our own making.
Nothing that a producer, a backend or a receiver says comes in, and of an error only its class.
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
"""How long the last spans may take to go out when a process stops."""


class Here(Protocol):
    """The span that is going on."""

    @property
    def traceparent(self) -> str | None:
        """What is caused here carries this; None if no span is made."""
        ...

    def rename(self, name: str) -> None:
        """Call it so, now that this is known."""
        ...

    def set_attributes(self, attributes: Attributes, *, failed: str | None = None) -> None:
        """Add to it; ``failed`` is a word for what went wrong."""
        ...


class _Nowhere:
    """What there is while tracing is off."""

    __slots__ = ()
    traceparent = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing began."""

    def rename(self, _name: str) -> None:
        """It has no name."""

    def set_attributes(self, _attributes: Attributes, *, failed: str | None = None) -> None:
        """Nobody listens."""


NOWHERE: Final = _Nowhere()


class _Tracing:
    """Whether spans are made, and by whom."""

    def __init__(self) -> None:
        self.tracer: Any = None
        self.provider: Any = None
        self.api: Any = None


_on: Final = _Tracing()


class _Span:
    """A span of OpenTelemetry's, which ends with its block."""

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
    """A span below ``parent``, a ``traceparent``; if that is none, of a trace of its own."""
    return NOWHERE if _on.tracer is None else _Span(name, parent, kind, attributes)


def processing(
    service: str, record: Record, type_: str, parent: str | None
) -> AbstractContextManager[Here]:
    """The span in which ``service`` handles the event of ``type_`` in ``record``.

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
    """The span that is going on around; None if there is none, or tracing is off."""
    if _on.tracer is None:
        return None
    return TraceContext.parse(_written(_on.api.get_current_span().get_span_context()))


def _written(context: Any) -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def start(*, service: str, endpoint: str, sample: float, version: str) -> None:
    """Make spans from now on, and send a share of ``sample`` to the collector at ``endpoint``.

    Whoever has decided about a trace before, by the flag in its ``traceparent``, is followed.

    Raises:
        ConfigurationError: ``endpoint`` is no URL.
    """
    url = urlsplit(endpoint)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigurationError(
            "BUSBAR_OTLP_ENDPOINT is no http or https URL.",
            fix="Write it like http://127.0.0.1:4318, without /v1/traces.",
        )
    # Only who traces pays for the SDK.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - when used
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - when used

    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + PATH)
    start_with(BatchSpanProcessor(exporter), service=service, sample=sample, version=version)


def start_with(processor: Any, *, service: str, sample: float, version: str) -> None:
    """Make spans from now on, and give them to ``processor``, a span processor of the SDK's."""
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
    """Make no more spans; the last ones have two seconds to go out."""
    provider, _on.tracer, _on.provider = _on.provider, None, None
    if provider is None:
        return
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def shut_down() -> None:
        provider.shutdown()
        loop.call_soon_threadsafe(done.set)

    # A thread that nobody waits for: a collector that is away must not keep the process.
    threading.Thread(target=shut_down, name="flush-spans", daemon=True).start()
    await asyncio.wait([asyncio.ensure_future(done.wait())], timeout=FLUSH_SECONDS)
