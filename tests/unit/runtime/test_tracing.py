"""Spans have the given parent, and contain no text from outside."""

import subprocess
import sys
import tracemalloc

import pytest

from busbar.kernel.errors import ConfigurationError
from busbar.messages.notification import ApplySubscription, Unsubscribed
from busbar.messages.trace import TraceContext, valid
from busbar.runtime.core.bus import Record
from busbar.runtime.telemetry import logs, tracing
from support.runtime import (
    Toy,
    record,
)
from support.tracing import BAD_PARENTS, PARENT, TRACE, UNSAMPLED, traced


@pytest.mark.parametrize("text", BAD_PARENTS)
def test_an_invalid_trace_context_is_ignored(text: str) -> None:
    assert TraceContext.parse(text) is None
    assert valid(text) is None


def test_a_trace_context_is_written_as_it_was_read() -> None:
    assert valid(PARENT) == PARENT
    assert str(TraceContext.parse(PARENT)) == PARENT
    assert TraceContext.parse(None) is None


async def test_a_span_belongs_to_its_parents_trace_and_what_follows_belongs_to_it() -> None:
    async with traced() as spans:
        with tracing.span("a", parent=PARENT, kind="client", attributes={"n": 1}) as first:
            pass
        with tracing.span("b", parent=first.traceparent, kind="server", attributes={}):
            pass
    a, b = spans.one("a"), spans.one("b")
    assert (a.trace_id, a.parent_id) == (TRACE, PARENT.split("-")[2])
    assert (b.trace_id, b.parent_id) == (TRACE, a.span_id)
    assert (a.kind, b.kind, a.service) == ("client", "server", "busbar-policy")
    assert (a.attributes, a.error) == ({"n": 1}, None)
    assert first.traceparent == a.traceparent


@pytest.mark.parametrize("parent", [*BAD_PARENTS, None])
async def test_without_a_parent_that_can_be_one_a_span_begins_a_trace(parent: str | None) -> None:
    async with traced() as spans:
        with (
            tracing.span("around", parent=PARENT, kind="server", attributes={}),
            tracing.span("a", parent=parent, kind="client", attributes={}),
        ):
            pass
    found = spans.one("a")
    assert found.parent_id is None
    assert found.trace_id != TRACE


async def test_an_earlier_decision_not_to_sample_is_followed() -> None:
    async with traced() as spans:
        with tracing.span("a", parent=UNSAMPLED, kind="client", attributes={}) as here:
            pass
    assert spans.all() == []
    assert here.traceparent is not None
    assert (here.traceparent.split("-")[1], here.traceparent.split("-")[3]) == (TRACE, "00")


async def test_a_share_of_none_keeps_no_trace_that_begins_here() -> None:
    async with traced(sample=0.0) as spans:
        with tracing.span("a", parent=None, kind="client", attributes={}):
            pass
        with tracing.span("b", parent=PARENT, kind="client", attributes={}):
            pass
    assert [span.name for span in spans.all()] == ["b"]


async def test_an_error_is_recorded_by_its_class_only() -> None:
    async with traced() as spans:
        with (
            pytest.raises(ArithmeticError),
            tracing.span("a", parent=None, kind="client", attributes={}),
        ):
            raise ArithmeticError("s3cr3t-v4lue")
    found = spans.one("a")
    assert (found.error, found.attributes) == ("ArithmeticError", {"error.type": "ArithmeticError"})
    assert "s3cr3t" not in spans.words()


async def test_log_lines_name_the_span_around_them() -> None:
    async with traced() as spans:
        with tracing.span("a", parent=PARENT, kind="client", attributes={}):
            line = logs._traced(None, "info", {})
        outside = logs._traced(None, "info", {})
    found = spans.one("a")
    assert line == {"trace_id": TRACE, "span_id": found.span_id}
    assert outside == {}


# -- the engine ---------------------------------------------------------------------------------


def asked(**more: str) -> Record:
    return record(1, extensions={"traceparent": PARENT, **more})


async def traceparents(toy: Toy) -> list[str | None]:
    """Return the ``traceparent`` of each appended fact."""
    from json import loads  # noqa: PLC0415 - only here

    found = await toy.store.events()
    return [
        loads(one.metadata).get("traceparent") for one in found if one.type == Unsubscribed.TYPE
    ]


async def test_facts_carry_the_context_of_the_span_that_made_them(toy: Toy) -> None:
    async with traced() as spans:
        await toy.engine.handle_batch([asked()])
    found = spans.one("process .*")
    assert found.name == "process busbar.intents.subscription"
    assert (found.kind, found.trace_id) == ("consumer", TRACE)
    assert found.attributes == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": "busbar.policy",
        "messaging.destination.name": "busbar.intents.subscription",
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 1,
        "cloudevents.event_type": "busbar.subscription.delete.v1",
    }
    assert await traceparents(toy) == [found.traceparent]


async def test_while_tracing_is_off_facts_carry_what_their_intent_did(toy: Toy) -> None:
    await toy.engine.handle_batch([asked()])
    assert await traceparents(toy) == [PARENT]


@pytest.mark.parametrize("bad", ["nonsense", f"00-{'0' * 32}-00f067aa0ba902b7-01"])
async def test_a_bad_traceparent_of_a_producer_is_ignored(toy: Toy, bad: str) -> None:
    async with traced() as spans:
        await toy.engine.handle_batch([asked(traceparent=bad)])
    found = spans.one("process .*")
    assert found.parent_id is None
    assert await traceparents(toy) == [found.traceparent]


async def test_events_without_a_handler_make_no_span(toy: Toy) -> None:
    async with traced() as spans:
        await toy.engine.handle_batch([record(1, {}, type_=ApplySubscription.TYPE)])
    assert spans.all() == []


async def test_each_try_is_a_span_and_the_facts_are_of_the_last(toy: Toy) -> None:
    toy.failing["s1"] = [ArithmeticError("s3cr3t-v4lue")]
    async with traced() as spans:
        await toy.engine.handle_batch([asked()])
    failed, handled = spans.all()
    assert (failed.error, handled.error) == ("ArithmeticError", None)
    assert await traceparents(toy) == [handled.traceparent]
    assert "s3cr3t" not in spans.words()


async def test_nothing_that_a_producer_writes_is_in_a_span(toy: Toy) -> None:
    secret = "s3cr3t-v4lue"  # noqa: S105 - a made-up one
    event = record(
        1, {"team": secret, "name": secret}, id_=secret, key=secret, extensions={"hint": secret}
    )
    async with traced() as spans:
        await toy.engine.handle_batch([event])
    assert spans.one("process .*")
    assert secret not in spans.words()


# -- off ----------------------------------------------------------------------------------------


def test_off_there_is_one_object_and_nothing_is_allocated() -> None:
    attributes: dict[str, str | int] = {}
    found = record(1)
    assert tracing.span("a", parent=PARENT, kind="client", attributes=attributes) is tracing.NOWHERE
    tracemalloc.start()
    try:
        before = tracemalloc.take_snapshot()
        for _ in range(1000):
            with tracing.processing("policy", found, "t", PARENT) as here:
                here.set_attributes(attributes)
        after = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    own = tracemalloc.Filter(True, tracing.__file__)
    grown = after.filter_traces([own]).compare_to(before.filter_traces([own]), "lineno")
    assert [line for line in grown if line.count_diff > 2] == []
    assert here.traceparent is None
    assert tracing.current() is None


def test_off_nothing_of_the_sdk_is_loaded() -> None:
    script = (
        "import sys, busbar.runtime.host.process, busbar.notifier.app, busbar.gateway.app, "
        "busbar.provisioner.app;"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.sdk', "
        "'opentelemetry.exporter', 'google.protobuf'))])"
    )
    done = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("endpoint", ["collector:4318", "ftp://collector", "http://", "x"])
def test_an_endpoint_that_is_not_a_url_is_refused_with_an_example(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="BUSBAR_OTLP_ENDPOINT") as refused:
        tracing.start(service="policy", endpoint=endpoint, sample=1, version="1")
    assert "http://127.0.0.1:4318" in refused.value.fix
    assert tracing.current() is None
