"""The Kafka topics adapter passes the suite on a real broker."""

from dataclasses import replace

import pytest
from aiokafka.protocol.admin import CreateTopicsRequest
from aiokafka.protocol.metadata import MetadataRequest

from busbar.backends.kafka_topic.mark import mark_of
from busbar.backends.port import Fencing, Outcome, Presence
from busbar.testing.contract import (
    OWNER,
    BackendContract,
    apply_and_observe,
    is_permanent_refusal,
    make_call,
)
from support.kafka_topics import CHANGES, KafkaHarness, adapter, record_requests

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(60)]

HOUR_MS = 3_600_000


class TestKafkaTopic(BackendContract):
    @pytest.fixture
    def harness(self, harness: KafkaHarness) -> KafkaHarness:
        return harness


def test_it_does_not_claim_to_be_fenced() -> None:
    assert adapter("127.0.0.1:1").fencing is Fencing.UNFENCED


# -- creation -------------------------------------------------------------------------------------


async def test_a_topic_has_the_requested_settings_and_the_mark(harness: KafkaHarness) -> None:
    call = make_call({**harness.inputs(), "partitions": 5, "retention_hours": 36})
    seen = await apply_and_observe(harness.backend, call)
    assert seen.ready
    assert seen.outputs == {"name": call.inputs["name"], "partitions": 5, "retention_hours": 36}
    look = await harness.inspect(call.inputs)
    assert look is not None
    assert (look["partitions"], look["replicas"]) == (5, {1})
    assert look["retention.ms"] == str(36 * HOUR_MS)
    assert look["cleanup.policy"] == "delete"
    assert look["flush.messages"] == str(mark_of(OWNER))


async def test_a_compacted_topic_keeps_its_retention_for_later(harness: KafkaHarness) -> None:
    call = make_call({**harness.inputs(), "compacted": True})
    await apply_and_observe(harness.backend, call)
    look = await harness.inspect(call.inputs)
    assert look is not None
    assert (look["cleanup.policy"], look["retention.ms"]) == ("compact", str(24 * HOUR_MS))


async def test_a_topic_and_its_mark_are_created_in_one_request(
    harness: KafkaHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = record_requests(monkeypatch)
    await apply_and_observe(harness.backend, make_call(harness.inputs()))
    changes = [request for request in sent if isinstance(request, CHANGES)]
    assert [type(request) for request in changes] == [CreateTopicsRequest]


async def test_observing_never_lets_the_broker_create_the_topic(
    harness: KafkaHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session's broker has auto-creation off, but others have it on: check the requests."""
    sent = record_requests(monkeypatch)
    await harness.backend.observe(make_call(harness.inputs()))
    asked = [request for request in sent if isinstance(request, MetadataRequest)]
    named = [request for request in asked if request._topics]
    assert named
    assert all(request._allow_auto_topic_creation is False for request in named)


# -- changes --------------------------------------------------------------------------------------


async def test_the_mark_and_other_settings_survive_a_change(harness: KafkaHarness) -> None:
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    mark = str(mark_of(OWNER))
    await harness.set(call.inputs, {"flush.messages": mark, "max.message.bytes": "7777"})
    assert (await harness.backend.observe(call)).differs == ("retention_hours",)
    await apply_and_observe(
        harness.backend, replace(call, inputs={**call.inputs, "retention_hours": 2})
    )
    look = await harness.inspect(call.inputs)
    assert look is not None
    assert look["flush.messages"] == mark
    assert look["max.message.bytes"] == "7777"
    assert look["retention.ms"] == str(2 * HOUR_MS)


async def test_partitions_and_settings_change_together(harness: KafkaHarness) -> None:
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    more = replace(call, inputs={**call.inputs, "partitions": 6, "compacted": True})
    assert (await harness.backend.observe(more)).differs == ("partitions", "compacted")
    assert (await apply_and_observe(harness.backend, more)).outputs["partitions"] == 6
    look = await harness.inspect(call.inputs)
    assert look is not None
    assert (look["partitions"], look["cleanup.policy"]) == (6, "compact")


@pytest.mark.parametrize(
    ("change", "words"),
    [({"partitions": 1}, "at least 2"), ({"replicas": 2}, "does not move replicas")],
)
async def test_a_change_that_kafka_cannot_make_is_refused_as_a_whole(
    harness: KafkaHarness, change: dict[str, int], words: str
) -> None:
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    before = await harness.inspect(call.inputs)
    other = {**call.inputs, **change, "retention_hours": 99}
    outcome = await harness.backend.apply(replace(call, inputs=other))
    assert is_permanent_refusal(outcome, "cannot_change")
    assert words in outcome.detail
    assert await harness.inspect(call.inputs) == before


async def test_a_topic_that_lost_its_mark_is_not_touched_again(harness: KafkaHarness) -> None:
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    await harness.set(call.inputs, {"retention.ms": "1000000"})
    assert (await harness.backend.observe(call)).presence is Presence.FOREIGN
    assert is_permanent_refusal(await harness.backend.remove(call), "not_ours")


async def test_a_flush_setting_of_a_person_is_not_a_mark(harness: KafkaHarness) -> None:
    call = make_call(harness.inputs())
    await harness.create(call.inputs, {"flush.messages": "1000"})
    assert "no mark" in (await harness.backend.observe(call)).detail


# -- refusals -------------------------------------------------------------------------------------


async def test_more_replicas_than_brokers_are_refused_with_the_number_of_brokers(
    harness: KafkaHarness,
) -> None:
    outcome = await harness.backend.apply(make_call(harness.refused_inputs()))
    assert is_permanent_refusal(outcome, "refused")
    assert "replication factor" in outcome.detail
    assert "The cluster has 1 broker: ask for at most 1 replica" in outcome.detail


async def test_a_name_that_collides_is_refused_with_the_brokers_message(
    harness: KafkaHarness,
) -> None:
    call = make_call(harness.inputs())
    dotted = replace(call, inputs={**call.inputs, "name": call.inputs["name"] + ".x"})
    await apply_and_observe(harness.backend, dotted)
    scored = replace(call, inputs={**call.inputs, "name": call.inputs["name"] + "_x"})
    outcome = await harness.backend.apply(scored)
    assert is_permanent_refusal(outcome, "refused")
    assert "collides" in outcome.detail
    assert await harness.backend.remove(dotted) == Outcome.done()


@pytest.mark.parametrize("name", ["busbar.facts.policy", "__consumer_offsets", "a b", ""])
async def test_topics_with_reserved_and_illegal_names_are_neither_created_nor_removed(
    harness: KafkaHarness, name: str
) -> None:
    call = make_call({**harness.inputs(), "name": name})
    assert (await harness.backend.observe(call)).presence is Presence.ABSENT
    assert is_permanent_refusal(await harness.backend.apply(call), "invalid_inputs")
    assert is_permanent_refusal(await harness.backend.remove(call), "invalid_inputs")


async def test_our_topic_can_be_removed_after_its_inputs_became_invalid(
    harness: KafkaHarness,
) -> None:
    call = make_call(harness.inputs())
    await apply_and_observe(harness.backend, call)
    stale = replace(call, inputs={**call.inputs, "partitions": 0})
    assert is_permanent_refusal(await harness.backend.apply(stale), "invalid_inputs")
    assert await harness.backend.remove(stale) == Outcome.done()
    assert await harness.inspect(call.inputs) is None
