"""Names, marks, outcomes and readiness of the Kafka topics adapter, without a broker."""

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.backends.calls import InvalidInputs
from busbar.backends.kafka_topic.backend import _observation
from busbar.backends.kafka_topic.cluster import Response, Topic, _topic
from busbar.backends.kafka_topic.errors import outcome_of_response
from busbar.backends.kafka_topic.inputs import read_inputs, read_name
from busbar.backends.kafka_topic.mark import DECISION, is_mark, mark_of
from busbar.backends.port import Presence, Result
from busbar.backends.postgres import mark as postgres_mark
from busbar.testing.contract import OWNER, make_call
from meta.checkout import ROOT

GOOD: dict[str, Any] = {
    "name": "payments.prod.orders",
    "partitions": 3,
    "replicas": 1,
    "retention_hours": 24,
    "compacted": False,
}
KAFKA_DEFAULT = 2**63 - 1


@given(st.text())
def test_a_mark_is_a_long_that_means_never_and_is_not_the_default(owner: str) -> None:
    assert 2**62 <= mark_of(owner) < KAFKA_DEFAULT
    assert is_mark(mark_of(owner))


@given(st.sets(st.text(), min_size=2))
def test_owners_have_different_marks(owners: set[str]) -> None:
    assert len({mark_of(owner) for owner in owners}) == len(owners)


def test_the_mark_is_the_start_of_the_digest_of_the_owner() -> None:
    bits = f"{int(hashlib.sha256(b'a/b/c/d#e').hexdigest(), 16):0256b}"
    assert mark_of("a/b/c/d#e") == 2**62 + int(bits[:61], 2)


@pytest.mark.parametrize("value", [None, 1, 10_000, 2**62 - 1, 2**62 + 2**61, KAFKA_DEFAULT])
def test_a_setting_of_a_person_is_not_a_mark(value: int | None) -> None:
    assert not is_mark(value)


@pytest.mark.parametrize(("source", "mark"), [(1, mark_of(OWNER)), (4, None), (5, None)])
def test_a_setting_that_is_inherited_from_the_broker_is_not_a_mark(
    source: int, mark: int | None
) -> None:
    settings = {
        "flush.messages": {"config_source": source, "config_value": str(mark_of(OWNER))},
        "retention.ms": {"config_value": "-1"},
        "cleanup.policy": {"config_value": "delete"},
    }
    assert _topic([], settings).mark == mark


@pytest.mark.parametrize("name", ["a", "a.b-C_9", "busbar", "busbarista.x", "_x", "x" * 249])
def test_legal_names_are_accepted(name: str) -> None:
    assert read_inputs({**GOOD, "name": name}).name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "x" * 250,
        "a b",
        "a/b",
        "ä",
        "a\n",
        "busbar.facts.policy",
        "__offsets",
        None,
        7,
    ],
)
def test_illegal_and_reserved_names_are_refused(name: object) -> None:
    with pytest.raises(InvalidInputs) as refused:
        read_name({**GOOD, "name": name})
    assert refused.value.fields == ("name",)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("partitions", 0),
        ("partitions", 10_001),
        ("partitions", "3"),
        ("partitions", True),
        ("replicas", 0),
        ("replicas", 2**15),
        ("retention_hours", 0),
        ("retention_hours", 1.5),
        ("compacted", "yes"),
        ("compression", "zstd"),
    ],
)
def test_a_wrong_input_is_named(field: str, value: object) -> None:
    with pytest.raises(InvalidInputs, match=f"^/{field} .*Correct the inputs") as refused:
        read_inputs({**GOOD, field: value})
    assert refused.value.fields == (field,)


def test_a_name_can_be_read_even_if_another_input_is_wrong() -> None:
    assert read_name({**GOOD, "partitions": 0}) == GOOD["name"]


@given(code=st.integers(-(2**15), 2**15 - 1), message=st.text())
def test_every_response_has_an_outcome_that_explains_itself(code: int, message: str) -> None:
    outcome = outcome_of_response(
        Response(code=code, message=message, brokers=1), doing="create the topic t"
    )
    assert (outcome.result is Result.DONE) is (code == 0)
    assert code == 0 or "create the topic t" in outcome.detail


@pytest.mark.parametrize("code", [17, 29, 31, 37, 38, 39, 40, 42, 44, 73])
def test_an_error_that_a_retry_cannot_help_is_permanent(code: int) -> None:
    outcome = outcome_of_response(
        Response(code=code, message="no.", brokers=2), doing="create the topic t"
    )
    assert (outcome.result, outcome.reason, outcome.permanent) == (
        Result.NOT_DONE,
        "refused",
        True,
    )
    assert "no. " in outcome.detail


@pytest.mark.parametrize("code", [-1, 3, 7, 36])
def test_a_change_that_may_have_happened_is_unknown(code: int) -> None:
    outcome = outcome_of_response(
        Response(code=code, message="", brokers=1), doing="create the topic t"
    )
    assert outcome.result is Result.UNKNOWN


@pytest.mark.parametrize("code", [41, 60, 89, 4711])
def test_an_error_that_a_retry_may_help_is_not_permanent(code: int) -> None:
    outcome = outcome_of_response(
        Response(code=code, message="", brokers=1), doing="create the topic t"
    )
    assert (outcome.result, outcome.permanent) == (Result.NOT_DONE, False)
    assert f"Kafka error {code}" in outcome.detail


def test_a_cluster_that_forbids_the_mark_has_an_explanation_of_its_own() -> None:
    response = Response(code=44, message="flush.messages may not be set", brokers=3)
    detail = outcome_of_response(response, doing="create the topic t").detail
    assert f"has to permit flush.messages, busbar's mark ({DECISION})" in detail
    for decision in (DECISION, postgres_mark.DECISION):
        assert "**Adopting**" in (ROOT / decision).read_text(encoding="utf-8")


def topic(**changes: Any) -> Topic:
    values: dict[str, Any] = {
        "partitions": 3,
        "replicas": frozenset({1}),
        "unready": 0,
        "mark": mark_of(OWNER),
        "retention_ms": 24 * 3_600_000,
        "policies": frozenset({"delete"}),
    }
    return Topic(**{**values, **changes})


def test_a_topic_is_ready_when_every_partition_can_be_written() -> None:
    call = make_call(GOOD)
    assert _observation(call, "t", topic()).ready
    waiting = _observation(call, "t", topic(unready=2))
    assert not waiting.ready
    assert waiting.as_asked
    assert waiting.detail.startswith("2 of 3 partitions")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"partitions": 4}, "partitions"),
        ({"replicas": frozenset({2})}, "replicas"),
        ({"replicas": frozenset({1, 2})}, "replicas"),
        ({"retention_ms": -1}, "retention_hours"),
        ({"retention_ms": 24 * 3_600_000 + 1}, "retention_hours"),
        ({"policies": frozenset({"compact"})}, "compacted"),
        ({"policies": frozenset({"compact", "delete"})}, "compacted"),
    ],
)
def test_inputs_that_differ_are_named(change: dict[str, Any], field: str) -> None:
    assert _observation(make_call(GOOD), "t", topic(**change)).differs == (field,)


def test_our_topic_is_still_ours_after_its_inputs_became_invalid() -> None:
    seen = _observation(make_call({**GOOD, "partitions": 0}), "t", topic())
    assert (seen.presence, seen.differs) == (Presence.OURS, ("partitions",))
