"""The state at a time: what the platform knew, or what had happened."""

from collections.abc import Iterable

from busbar.audit.domain import AuditRecord, By, StateAt
from busbar.messages import topics
from busbar.messages.resource import (
    ResourceDeleted,
    ResourceProvisioned,
    ResourceQueued,
    ResourceStuck,
)
from unit.audit.test_explain import record


def at(second: int) -> str:
    return f"2026-01-01T00:00:{second:02d}.000000Z"


def heard(
    records: Iterable[AuditRecord], *, at: str | None = None, by: By = "recorded"
) -> dict[str, str]:
    """The status of every resource, each folded from its own records."""
    found = {name: StateAt(at=at, by=by) for name in (A, B)}
    for one in records:
        resource = one.data.get("resource") if one.data else None
        if resource in found:
            found[resource].take(one)
    return {name: state.view.status for name, state in found.items() if state.view is not None}


A, B = "payments/dev/event-stream/a", "payments/dev/event-stream/b"
LIFE = [
    record(ResourceQueued, 1, resource=A, _recorded_time=at(11)),
    record(ResourceProvisioned, 2, resource=A, _recorded_time=at(12)),
    record(ResourceProvisioned, 3, resource=B, _recorded_time=at(13)),
    record(ResourceDeleted, 4, resource=A, _recorded_time=at(14)),
]


def test_the_state_now_has_every_resource_the_deleted_ones_too() -> None:
    assert heard(LIFE) == {A: "deleted", B: "ready"}


def test_the_state_at_a_time_is_what_was_recorded_by_then() -> None:
    assert heard(LIFE, at=at(10)) == {}
    assert heard(LIFE, at=at(11)) == {A: "provisioning"}
    assert heard(LIFE, at=at(13)) == {A: "ready", B: "ready"}
    assert heard(LIFE, at=at(14)) == {A: "deleted", B: "ready"}


def test_the_state_at_a_time_can_be_what_had_happened_by_then() -> None:
    assert heard(LIFE, at=at(10), by="event") == {A: "deleted", B: "ready"}
    assert heard(LIFE, at=at(2), by="event") == {A: "ready"}
    late = [record(ResourceProvisioned, 1, resource=A, _time=None)]
    assert heard(late, at=at(9), by="event") == {}
    assert heard(late, by="event") == {A: "ready"}


def test_a_fact_that_was_published_twice_counts_once() -> None:
    again = record(ResourceQueued, 1, resource=A, _offset=9, _cursor=9)
    assert heard([*LIFE, again]) == heard(LIFE)
    between = [*LIFE[:2], again, *LIFE[2:]]
    assert heard(between, at=at(13)) == {A: "ready", B: "ready"}


def test_only_facts_on_their_own_topic_make_state() -> None:
    lies = [
        record(ResourceStuck, 5, resource=A, _topic=topics.INTENTS_RESOURCE),
        record(ResourceStuck, 6, resource=A, _topic=topics.FACTS_POLICY),
        record(ResourceStuck, 7, resource=A, _readable=False, _data=None),
        record(ResourceStuck, 8, resource=A, generation="many"),
        record(ResourceStuck, 9, resource=A, _type="busbar.resource.later.v9"),
    ]
    assert heard([*LIFE, *lies]) == heard(LIFE)


def test_a_fact_that_fits_after_one_of_its_id_that_did_not_counts() -> None:
    bad = record(ResourceProvisioned, 1, resource=A, generation="many")
    assert heard([bad, record(ResourceProvisioned, 1, resource=A)]) == {A: "ready"}
