import json
from typing import Any

import pytest

from busbar.cli.replay import compare
from busbar.kernel.ids import operation_id
from busbar.messages.base import Fact
from busbar.messages.policy import IntentAllowed, IntentConflicted
from busbar.messages.resource import ResourceProvisioned, ResourceQueued
from busbar.messages.views import OperationView, ResourceView, evolve_operation, evolve_resource
from unit.sdk.fake_gateway import FakeGateway
from unit.sdk.running import Run

TIME = "2026-01-31T12:00:00.{:06d}Z"


class RecordedFacts:
    """Facts that happened, as the audit log records them and as a gateway would show them."""

    def __init__(self, gateway: FakeGateway) -> None:
        self.gateway = gateway
        self._operations: dict[str, OperationView] = {}
        self._resources: dict[str, ResourceView] = {}

    def provision(self, name: str) -> None:
        operation = str(operation_id("urn:x", name))
        for model in (IntentAllowed, ResourceQueued, ResourceProvisioned):
            data = {**model.EXAMPLES[0], "operation": operation}
            self.happened(model, {**data, "resource": f"payments/dev/event-stream/{name}"})

    def happened(self, model: type[Fact], data: dict[str, Any], *, live: bool = True) -> None:
        number = len(self.gateway.records) + 1
        time = TIME.format(number)
        record = {"cursor": number, "topic": model.TOPIC, "partition": 0, "offset": number}
        identity = {"type": model.TYPE, "id": f"f-{number}", "source": "/busbar/test"}
        self.gateway.records.append({**record, **identity, "time": time, "data": data})
        if live:
            self.show(model.model_validate(data), time)

    def show(self, fact: Fact, time: str) -> None:
        operation = evolve_operation(self._operations.get(fact.operation_id or ""), fact, time=time)
        resource = evolve_resource(self._resources.get(fact.resource_id or ""), fact, time=time)
        if operation is not None:
            self._operations[operation.id] = operation
        if resource is not None:
            self._resources[resource.id] = resource
        self.gateway.operations = [
            view.model_dump(mode="json") for view in self._operations.values()
        ]
        self.gateway.resources = [view.model_dump(mode="json") for view in self._resources.values()]


@pytest.fixture
def recorded(gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch) -> RecordedFacts:
    monkeypatch.setattr(compare, "_RECHECK_SECONDS", 0.0)
    made = RecordedFacts(gateway)
    for name in ("orders", "refunds", "invoices"):
        made.provision(name)
    return made


def replayed(busbar: Run, code: int) -> dict[str, Any]:
    result = busbar("replay", "-o", "json")
    assert result.exit_code == code, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_a_state_that_follows_from_the_log_is_identical(
    busbar: Run, recorded: RecordedFacts
) -> None:
    found = replayed(busbar, 0)
    assert found["identical"]
    assert (found["records"], found["facts"]) == (9, 9)
    assert (found["resources"], found["operations"]) == (3, 3)
    assert found["replayed_digest"] == found["live_digest"]
    assert "identical" in busbar("replay").stdout
    assert all(not request.startswith("POST") for request in recorded.gateway.requests)


def test_a_field_that_differs_is_shown_with_both_values(
    busbar: Run, recorded: RecordedFacts
) -> None:
    recorded.gateway.resources[1]["spec"] = {"partitions": 99}
    found = replayed(busbar, 8)
    (difference,) = found["differences"]
    assert difference["id"] == "payments/dev/event-stream/refunds"
    assert difference["field"] == "spec"
    assert difference["live"] == {"partitions": 99}
    assert found["replayed_digest"] != found["live_digest"]
    shown = busbar("replay").stdout
    assert "refunds spec" in shown
    assert "partitions" in shown


def test_what_is_missing_on_one_side_is_a_difference(busbar: Run, recorded: RecordedFacts) -> None:
    recorded.gateway.resources.pop()
    recorded.gateway.operations.append({"id": "unknown", "status": "succeeded"})
    found = replayed(busbar, 8)
    sides = {(item["kind"], item["replayed"], item["live"]) for item in found["differences"]}
    assert sides == {("resource", "ready", None), ("operation", None, "succeeded")}


def test_a_fact_that_was_published_twice_counts_once(busbar: Run, recorded: RecordedFacts) -> None:
    data = dict(IntentConflicted.EXAMPLES[0])
    recorded.happened(IntentConflicted, data)
    recorded.gateway.records.append({**recorded.gateway.records[-1], "cursor": 11, "offset": 11})
    found = replayed(busbar, 0)
    assert (found["records"], found["facts"]) == (11, 10)


def test_an_operation_without_facts_is_pending_and_not_a_difference(
    busbar: Run, recorded: RecordedFacts
) -> None:
    recorded.gateway.operations.append({"id": "new", "status": "received"})
    found = replayed(busbar, 0)
    assert (found["pending"], found["operations"]) == (1, 3)


def test_intents_heads_and_unreadable_records_are_read_over(
    busbar: Run, recorded: RecordedFacts
) -> None:
    intent = {"type": "busbar.resource.apply.v1", "id": "i", "source": "urn:x", "data": {}}
    broken = {"type": "busbar.policy.allowed.v1", "id": "b", "source": "urn:x", "data": {}}
    place: dict[str, Any] = {"topic": "busbar.intents.resource", "partition": 0}
    others: list[dict[str, Any]] = [intent, {"readable": False}, broken, {"type": "a.b.v9"}]
    for number, more in enumerate(others):
        cursor = len(recorded.gateway.records) + 1
        recorded.gateway.records.append({**place, **more, "cursor": cursor, "offset": number})
    found = replayed(busbar, 0)
    assert (found["facts"], found["unreadable"]) == (9, 2)


def test_what_moves_while_it_compares_is_looked_at_again(
    busbar: Run, recorded: RecordedFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = 0
    original = compare.Replay._read_new_records

    async def read_on(self: compare.Replay) -> None:
        nonlocal reads
        await original(self)
        reads += 1
        if reads == 1:
            recorded.provision("late")

    monkeypatch.setattr(compare.Replay, "_read_new_records", read_on)
    found = replayed(busbar, 0)
    assert (found["resources"], found["records"]) == (4, 12)


def test_a_log_that_lags_behind_is_waited_for(
    busbar: Run, recorded: RecordedFacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = recorded.gateway.records[-1]
    recorded.gateway.records.pop()
    reads = 0
    original = compare.Replay._read_new_records

    async def read_on(self: compare.Replay) -> None:
        nonlocal reads
        reads += 1
        if reads == 3:
            recorded.gateway.records.append(late)
        await original(self)

    monkeypatch.setattr(compare.Replay, "_read_new_records", read_on)
    assert replayed(busbar, 0)["identical"]
    assert reads == 3


def test_a_log_that_lacks_a_fact_is_different_in_the_end(
    busbar: Run, recorded: RecordedFacts
) -> None:
    recorded.gateway.records.pop()
    found = replayed(busbar, 8)
    assert {item["kind"] for item in found["differences"]} == {"resource", "operation"}
