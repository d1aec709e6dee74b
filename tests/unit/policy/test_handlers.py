"""Policy's handlers over a real store, the shipped catalogue and the shipped rules."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from busbar.kernel.ids import operation_id
from busbar.messages import topics
from busbar.messages.base import Fact, Intent
from busbar.messages.catalogue import BY_TYPE
from busbar.messages.codec import kafka as codec
from busbar.messages.delivery import DiscardDeadLetter, RedriveDeadLetter
from busbar.messages.envelope import Envelope
from busbar.messages.notification import ApplySubscription, DeleteSubscription, SendTestEvent
from busbar.messages.policy import IntentAllowed, IntentConflicted, IntentDenied, IntentExpired
from busbar.messages.request import RequestAllowed
from busbar.messages.resource import ApplyResource, DeleteResource, ResourceProvisioned
from busbar.policy.domain import Promises, RuleBook
from busbar.policy.handlers import INTENT_MAX_BYTES, Policy
from busbar.runtime.consume.dead_letters import DeadLetters
from busbar.runtime.consume.engine import Engine
from busbar.runtime.core.bus import Record
from busbar.runtime.personal import PersonalData
from busbar.runtime.store import Store, StoredEvent, open_store
from busbar.testing import ManualClock, RecordingPublisher
from support.personal import no_personal_data
from support.runtime import (
    cipher,
    drain,
    relay_of,
)

SOURCE = "urn:team:payments"
NAMED = {"team": "payments", "environment": "dev", "promise": "event-stream", "name": "orders"}
ORDERS = "payments/dev/event-stream/orders"


class Bench:
    """Policy's engine, fed by hand."""

    def __init__(
        self,
        store: Store,
        policy: Policy,
        clock: ManualClock,
        personal: PersonalData | None = None,
    ) -> None:
        self.store, self.clock = store, clock
        self.dead_letters = DeadLetters("policy", cipher(), personal=personal)
        self.engine = Engine(policy.service(), store, self.dead_letters, clock=clock, attempts=2)
        self._offset = 0

    def record(
        self,
        id_: str = "1",
        *,
        type_: str = ApplyResource.TYPE,
        topic: str = topics.INTENTS_RESOURCE,
        subject: str | None = None,
        whole: Any = None,
        extensions: dict[str, str] | None = None,
        structured: bool = False,
        **data: Any,
    ) -> Record:
        """The next record; keywords are its data beside the resource's name."""
        if whole is None:
            spec: dict[str, Any] = {"spec": {}} if type_ == ApplyResource.TYPE else {}
            whole = {**NAMED, **spec, **data}
        envelope = Envelope(
            id=id_,
            source=SOURCE,
            type=type_,
            subject=subject,
            extensions=extensions or {},
            data=whole,
            key="k",
        )
        write = codec.write_structured if structured else codec.write
        headers, value, key = write(envelope)
        self._offset += 1
        return Record(topic, 0, self._offset, 0, key, value, headers)

    async def judge(self, *records: Record) -> list[Fact]:
        """Return the facts that policy records for ``records``, handled as one batch."""
        before = await self.store.last_position()
        await self.engine.handle_batch(records)
        return [fact_in(event) for event in await self.store.events(after=before)]

    async def one(self, id_: str = "1", **record: Any) -> Fact:
        """Return the one fact that policy records for an intent."""
        (fact,) = await self.judge(self.record(id_, **record))
        return fact

    async def denied(self, id_: str = "1", **record: Any) -> IntentDenied:
        fact = await self.one(id_, **record)
        assert isinstance(fact, IntentDenied), fact
        return fact


def fact_in(event: StoredEvent) -> Fact:
    fact = BY_TYPE[event.type].model_validate_json(event.data)
    assert isinstance(fact, Fact)
    return fact


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def bench(
    tmp_path: Path, clock: ManualClock, catalogue: Promises, house_rules: RuleBook
) -> AsyncIterator[Bench]:
    store = await open_store(tmp_path / "policy.db", service="policy", clock=clock)
    policy = Policy(catalogue, house_rules, no_personal_data(), accepts_unsigned=True)
    yield Bench(store, policy, clock)
    await store.close()


async def test_an_intent_that_fits_is_allowed_on_a_plan(bench: Bench) -> None:
    fact = await bench.one(spec={"partitions": 6})
    assert isinstance(fact, IntentAllowed)
    assert (fact.resource, fact.generation, fact.action) == (ORDERS, 1, "apply")
    assert fact.operation == operation_id(SOURCE, "1")
    assert fact.intent.id == "1"
    assert fact.spec["partitions"] == 6
    assert fact.spec["retention_hours"] == 24
    assert [step.name for step in fact.plan.steps] == ["topic", "dead-letters"]
    (event,) = await bench.store.events()
    assert (event.topic, event.key, event.stream) == (
        topics.FACTS_POLICY,
        ORDERS,
        f"resource/{ORDERS}",
    )


async def test_a_warning_does_not_deny(bench: Bench) -> None:
    fact = await bench.one(environment="prod", spec={"replicas": 1})
    assert isinstance(fact, IntentAllowed)
    assert [warning.rule for warning in fact.warnings] == ["single-replica"]


async def test_what_a_rule_forbids_is_denied_with_the_reason_and_the_remedy(bench: Bench) -> None:
    fact = await bench.denied(spec={"retention_hours": 9000 - 1000})
    assert fact.reason == "rule"
    (violation,) = fact.violations
    assert (violation.rule, violation.pointer) == ("retention-limit", "/spec/retention_hours")
    assert "168" in violation.fix
    assert fact.policies
    (event,) = await bench.store.events()
    assert event.key == ORDERS


@pytest.mark.parametrize(
    ("record", "reason", "rule", "pointer"),
    [
        ({"spec": {"partitions": 0}}, "invalid_spec", "schema", "/spec/partitions"),
        ({"promise": "event-steam"}, "unknown_promise", "unknown_promise", "/promise"),
        ({"version": "v9"}, "unknown_promise_version", "unknown_promise_version", "/version"),
        ({"subject": "other"}, "other_resource", "other_resource", ""),
        ({"type_": DeleteResource.TYPE}, "not_found", "not_found", "/name"),
        ({"extra": 1}, "invalid_intent", "invalid_intent", "/extra"),
        ({"name": "UPPER"}, "invalid_intent", "invalid_intent", "/name"),
        ({"expected_generation": "1"}, "invalid_intent", "invalid_intent", "/expected_generation"),
        ({"whole": ["x"]}, "invalid_intent", "invalid_intent", ""),
        ({"whole": "text"}, "invalid_intent", "invalid_intent", ""),
        ({"type_": "busbar.resource.aply.v1"}, "unknown_type", "unknown_type", ""),
        ({"type_": DeleteSubscription.TYPE}, "unknown_type", "unknown_type", ""),
        ({"type_": ResourceProvisioned.TYPE}, "unknown_type", "unknown_type", ""),
        ({"topic": topics.INTENTS_DEAD_LETTER}, "unknown_type", "unknown_type", ""),
        (
            {"topic": topics.INTENTS_DEAD_LETTER, "type_": "busbar.dead-letter.redriv.v1"},
            "unknown_type",
            "unknown_type",
            "",
        ),
        ({"extensions": {"expirytime": "soon"}}, "invalid_intent", "expirytime", ""),
        ({"extensions": {"expirytime": "2026-01-01T12:00:00"}}, "invalid_intent", "expirytime", ""),
        (
            {"extensions": {"expirytime": "0001-01-01T00:00:00+23:59"}},
            "invalid_intent",
            "expirytime",
            "",
        ),
        ({"extensions": {"expirytime": ""}}, "invalid_intent", "expirytime", ""),
        ({"extensions": {"expirytime": "20260101T120000Z"}}, "invalid_intent", "expirytime", ""),
    ],
)
async def test_what_cannot_be_decided_is_denied_and_never_dropped(
    bench: Bench, record: dict[str, Any], reason: str, rule: str, pointer: str
) -> None:
    fact = await bench.denied(**record)
    assert fact.reason == reason
    assert (fact.violations[0].rule, fact.violations[0].pointer) == (rule, pointer)
    assert fact.violations[0].fix
    assert fact.operation == operation_id(SOURCE, "1")


@pytest.mark.parametrize(
    ("intent", "about"),
    [
        (DeleteSubscription(team="payments", name="s"), "payments/s"),
        (SendTestEvent(team="payments", name="s"), "payments/s"),
        (RedriveDeadLetter(service="notifier", dead_letter="1"), "1"),
        (DiscardDeadLetter(service="gateway", dead_letter="1"), "1"),
    ],
)
async def test_an_intent_that_another_service_carries_out_is_allowed_with_its_data(
    bench: Bench, intent: Intent, about: str
) -> None:
    data = intent.model_dump(mode="json")
    fact = await bench.one(type_=intent.TYPE, topic=intent.TOPIC, whole=data)
    assert isinstance(fact, RequestAllowed)
    assert (fact.operation, fact.intent.type) == (operation_id(SOURCE, "1"), intent.TYPE)
    assert (fact.requested, fact.about) == (data, about)
    (event,) = await bench.store.events()
    assert (event.topic, event.key) == (topics.FACTS_REQUEST, about)


@pytest.mark.parametrize(
    ("type_", "data", "reason", "pointers"),
    [
        (
            ApplySubscription.TYPE,
            {"team": "payments", "name": "s", "url": "ftp://x", "types": [], "extra": 1},
            "invalid_intent",
            {"/url", "/types", "/secret", "/extra"},
        ),
        (DeleteSubscription.TYPE, {}, "invalid_intent", {"/team", "/name"}),
        ("busbar.subscription.aply.v1", {}, "unknown_type", {""}),
        (ApplyResource.TYPE, {}, "unknown_type", {""}),
    ],
)
async def test_a_subscription_that_has_not_its_form_is_denied_under_its_operation(
    bench: Bench, type_: str, data: dict[str, Any], reason: str, pointers: set[str]
) -> None:
    fact = await bench.denied(type_=type_, topic=topics.INTENTS_SUBSCRIPTION, whole=data)
    assert (fact.operation, fact.reason) == (operation_id(SOURCE, "1"), reason)
    assert {violation.pointer for violation in fact.violations} == pointers


async def test_a_request_about_a_dead_letter_of_no_service_is_denied(bench: Bench) -> None:
    fact = await bench.denied(
        type_=RedriveDeadLetter.TYPE,
        topic=RedriveDeadLetter.TOPIC,
        whole={"service": "polcy", "dead_letter": "1"},
    )
    assert fact.reason == "unknown_service"
    assert "did you mean 'policy'?" in fact.violations[0].fix


async def test_a_request_that_came_too_late_has_expired(bench: Bench) -> None:
    late = await bench.one(
        type_=DeleteSubscription.TYPE,
        topic=DeleteSubscription.TOPIC,
        whole={"team": "payments", "name": "s"},
        extensions={"expirytime": "2026-01-01T11:59:59Z"},
    )
    assert isinstance(late, IntentExpired)


async def test_an_intent_without_data_is_denied_under_its_operation(bench: Bench) -> None:
    envelope = Envelope(id="1", source=SOURCE, type=ApplyResource.TYPE, data=None)
    headers, value, key = codec.write(envelope)
    (fact,) = await bench.judge(Record(topics.INTENTS_RESOURCE, 0, 0, 0, key, value, headers))
    assert isinstance(fact, IntentDenied)
    assert (fact.resource, fact.requested) == (None, None)
    (event,) = await bench.store.events()
    assert event.key == str(operation_id(SOURCE, "1"))


async def test_an_intent_that_came_too_late_has_expired(bench: Bench) -> None:
    past = await bench.one("1", extensions={"expirytime": "2026-01-01T11:59:59Z"})
    assert isinstance(past, IntentExpired)
    now = await bench.one("2", extensions={"expirytime": "2026-01-01T13:00:00+01:00"})
    assert isinstance(now, IntentExpired)
    other_forms = ["2026-01-01t11:59:59z", "2026-01-01T11:59:59.123456789Z", "2025-12-31T23:59:60Z"]
    for number, form in enumerate(other_forms):
        other = await bench.one(f"other-{number}", extensions={"expirytime": form})
        assert isinstance(other, IntentExpired)
    future = await bench.one("3", extensions={"expirytime": "2026-01-01T12:00:00.000001Z"})
    assert isinstance(future, IntentAllowed)
    assert future.generation == 1


@pytest.mark.parametrize("type_", [ApplyResource.TYPE, "unknown.type"])
async def test_an_intent_that_is_too_large_is_denied_without_repeating_it(
    bench: Bench, type_: str
) -> None:
    fact = await bench.denied(type_=type_, spec={"x": "y" * INTENT_MAX_BYTES})
    assert fact.requested is None
    (event,) = await bench.store.events()
    assert len(event.data) < 2000
    if type_ == ApplyResource.TYPE:
        assert fact.violations[0].rule == "size"
        assert str(INTENT_MAX_BYTES) in fact.violations[0].message


async def test_the_largest_intent_is_still_judged(bench: Bench) -> None:
    room = INTENT_MAX_BYTES - len(bench.record(spec={"x": ""}).value or b"")
    assert (await bench.denied("1", spec={"x": "y" * room})).reason == "invalid_spec"
    assert (await bench.denied("2", spec={"x": "y" * (room + 1)})).violations[0].rule == "size"


async def test_a_structured_event_is_judged_like_a_binary_one(bench: Bench) -> None:
    assert isinstance(await bench.one(structured=True), IntentAllowed)


async def test_the_same_intent_again_changes_nothing(bench: Bench) -> None:
    assert len(await bench.judge(bench.record(), bench.record())) == 1
    assert await bench.judge(bench.record(), bench.record(structured=True)) == []


async def test_another_body_under_the_same_id_is_recorded_once_and_not_acted_on(
    bench: Bench,
) -> None:
    await bench.one()
    other: dict[str, Any] = {"spec": {"partitions": 9}}
    (conflict,) = await bench.judge(bench.record(**other), bench.record(**other))
    assert isinstance(conflict, IntentConflicted)
    assert conflict.first != conflict.again
    assert (conflict.operation, conflict.resource) == (operation_id(SOURCE, "1"), ORDERS)
    assert await bench.judge(bench.record(**other)) == []
    third = await bench.one(spec={"partitions": 10})
    assert isinstance(third, IntentConflicted)
    assert (third.first, third.again != conflict.again) == (conflict.first, True)
    after = await bench.one("2", expected_generation=1)
    assert isinstance(after, IntentAllowed)


async def test_a_conflict_within_one_batch_is_recorded(bench: Bench) -> None:
    facts = await bench.judge(bench.record(), bench.record(spec={"partitions": 9}))
    assert [type(fact) for fact in facts] == [IntentAllowed, IntentConflicted]


async def test_who_expects_a_generation_is_held_to_it(bench: Bench) -> None:
    first = await bench.one("1", expected_generation=0)
    assert isinstance(first, IntentAllowed)
    late = await bench.denied("2", expected_generation=0)
    assert late.reason == "generation_mismatch"
    assert "expected_generation 1" in late.violations[0].fix
    second = await bench.one("3", expected_generation=1)
    assert isinstance(second, IntentAllowed)
    assert second.generation == 2


async def test_intents_of_one_batch_see_one_another(bench: Bench) -> None:
    facts = await bench.judge(
        bench.record("1", expected_generation=0),
        bench.record("2", expected_generation=0),
        bench.record("3", type_=DeleteResource.TYPE),
        bench.record("4", type_=DeleteResource.TYPE),
        bench.record("5", expected_generation=0),
    )
    assert [type(fact) for fact in facts] == [
        IntentAllowed,
        IntentDenied,
        IntentAllowed,
        IntentAllowed,
        IntentAllowed,
    ]
    generations = [fact.generation for fact in facts if isinstance(fact, IntentAllowed)]
    assert generations == [1, 2, 3, 4]


async def test_the_verdict_is_linked_to_its_intent(bench: Bench) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await bench.one(extensions={"correlationid": "c-1", "traceparent": trace})
    (event,) = await bench.store.events()
    assert (event.correlation, event.causation) == ("c-1", "1")
    assert trace in event.metadata


@pytest.mark.parametrize("levels", [50, 57, 63])
@pytest.mark.parametrize("type_", [ApplyResource.TYPE, "someone.else.v1"])
async def test_a_refusal_can_be_published_however_deep_the_intent_is(
    bench: Bench, levels: int, type_: str
) -> None:
    deep: Any = "bottom"
    for _ in range(levels):
        deep = [deep]
    fact = await bench.denied(type_=type_, note=deep)
    await assert_published(bench, fact)


@pytest.mark.parametrize("levels", [48, 61, 62])
async def test_a_denial_of_a_spec_can_be_published_however_deep_it_is(
    bench: Bench, levels: int
) -> None:
    deep: Any = "bottom"
    for _ in range(levels):
        deep = [deep]
    await assert_published(bench, await bench.denied(spec={"a": deep}))


async def assert_published(bench: Bench, fact: IntentDenied) -> None:
    """Check that the relay publishes ``fact``, and that it repeats the request to the bottom."""
    assert "bottom" in json.dumps(fact.requested)
    publisher = RecordingPublisher()
    await drain(relay_of(bench.store, publisher, bench.clock))
    assert [envelope.data["reason"] for envelope in publisher.of(IntentDenied.TYPE)] == [
        fact.reason
    ]
