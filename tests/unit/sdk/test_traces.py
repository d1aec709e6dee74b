"""A program that is in a trace has its intents become part of it, and no other has to know."""

import subprocess
import sys

from opentelemetry.context import attach, detach
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    set_span_in_context,
)

from busbar.messages.envelope import Envelope
from busbar.sdk import Client
from support.tracing import PARENT, TRACE
from unit.sdk.fake_gateway import FakeGateway

RESOURCE = "payments/dev/event-stream/orders"
OTHER = f"00-{'1' * 32}-{'2' * 16}-01"


async def test_intents_of_a_program_in_a_trace_carry_it(
    client: Client, gateway: FakeGateway
) -> None:
    here = SpanContext(int(TRACE, 16), int(PARENT.split("-")[2], 16), False, TraceFlags(1))
    token = attach(set_span_in_context(NonRecordingSpan(here)))
    try:
        await client.apply(RESOURCE, {"partitions": 3})
    finally:
        detach(token)
    await client.apply(RESOURCE, {"partitions": 4})
    first, second = gateway.published
    assert first.extensions == {"traceparent": PARENT}
    assert second.extensions == {}
    assert gateway.traces == [PARENT, None]


async def test_the_request_is_of_the_trace_that_its_event_is_of(
    client: Client, gateway: FakeGateway
) -> None:
    data = {"team": "payments"}
    for number, trace in enumerate((OTHER, "nonsense")):
        extensions = {"traceparent": trace}
        await client.publish(
            Envelope(id=f"{number}", source="urn:x", type="t", extensions=extensions, data=data)
        )
    assert gateway.traces == [OTHER, None]
    assert [event.extensions["traceparent"] for event in gateway.published] == [OTHER, "nonsense"]


def test_looking_for_a_trace_loads_nothing() -> None:
    script = (
        "import sys; from busbar.sdk.trace import active_traceparent as active; sys.modules.pop("
        "'opentelemetry.trace', None); print(active(), 'opentelemetry.trace' in sys.modules)"
    )
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert done.stdout.split() == ["None", "False"]
