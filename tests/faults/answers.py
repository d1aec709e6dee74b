"""Checks the answers that a client has got, and the keys by which policy decided."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from busbar.kernel.ids import operation_text, record_operation
from busbar.messages import topics
from busbar.messages.authority import EMPTY, evolve
from busbar.messages.base import Fact
from busbar.messages.caller import Caller
from busbar.messages.catalogue import BY_TYPE
from busbar.messages.delivery import DeadLetterDiscarded, DeadLetterRedriven
from busbar.messages.envelope import Envelope
from busbar.messages.identity import KeyRefused, KeyRegistered, KeyRevoked, SubjectErased
from busbar.messages.policy import IntentAllowed, IntentDenied
from busbar.messages.request import RequestAllowed
from busbar.messages.resource import ResourceDeleted, ResourceFailed, ResourceProvisioned
from busbar.policy.handlers import IDENTITY
from busbar.runtime.core import encoding
from busbar.runtime.store import StoredEvent
from faults.bus import Broker
from faults.report import Findings
from faults.simulation import SCRIPT, Simulation

Stored = Mapping[str, Sequence[StoredEvent]]

ENDS = (
    IntentDenied,
    ResourceProvisioned,
    ResourceDeleted,
    ResourceFailed,
    DeadLetterRedriven,
    DeadLetterDiscarded,
    KeyRegistered,
    KeyRevoked,
    KeyRefused,
    SubjectErased,
)
"""The last facts of the operations of scripts."""


def fact_in(type_: str, data: object) -> Fact | None:
    """Return the fact of this type, or None if it is none."""
    model = BY_TYPE.get(type_)
    if model is None or not issubclass(model, Fact):
        return None
    try:
        return model.model_validate(data)
    except ValidationError:
        return None


def judge_answers(simulation: Simulation, stored: Stored, found: Findings) -> None:
    """Check what the script of a scenario was answered; others have none."""
    scenario, outside = simulation.scenario, simulation.outside
    if scenario.script is None:
        return
    if SCRIPT not in outside.answered:
        found.stuck.append(f"a client still waits; it was answered {sorted(outside.answers)}")
    for name, (status, reason) in scenario.expects.items():
        view = outside.answers.get(name)
        if view is not None and (view.status, reason and view.reason) != (status, reason):
            found.lost.append(f"{name} ended as {view.status} ({view.reason}), not as {status}")
    _ends(stored, found)
    if scenario.signed:
        _positions(stored["policy"], simulation.broker, found)
        _decided(stored["policy"], simulation.broker, found)


def _ends(stored: Stored, found: Findings) -> None:
    """Check that no operation has ended twice."""
    ended = Counter(
        str(fact.operation)
        for name, events in stored.items()
        if name != "gateway"
        for event in events
        if event.topic is not None
        and isinstance(fact := fact_in(event.type, json.loads(event.data)), ENDS)
        and fact.operation is not None
    )
    found.duplicated += [f"{one} ended {count} times" for one, count in ended.items() if count > 1]


def _positions(events: Sequence[StoredEvent], broker: Broker, found: Findings) -> None:
    """Check that each decision was made by a key that was valid at the position it records.

    Positions only grow, and every fact about keys and principals is folded once.
    """
    known, reached, folded = [EMPTY], 0, Counter[str]()
    for event in events:
        fact = fact_in(event.type, json.loads(event.data))
        if event.stream == IDENTITY and fact is not None:
            known.append(evolve(known[-1], fact))
            folded[json.loads(event.metadata)["id"]] += 1
            continue
        caller = getattr(fact, "caller", None)
        if not isinstance(caller, Caller):
            continue
        if not reached <= caller.position < len(known):
            found.lost.append(f"position {caller.position} was recorded after {reached}")
            continue
        reached = caller.position
        key = known[reached].keys.get(caller.key or "")
        if key is None or key.revoked is not None:
            found.duplicated.append(f"{caller.key} was accepted at {reached}, where it is invalid")
    found.duplicated += [f"{one} was folded {n} times" for one, n in folded.items() if n > 1]
    published = {
        content.id
        for content in _read(broker, topics.FACTS_IDENTITY)
        if content.type not in {KeyRefused.TYPE, SubjectErased.TYPE}
    }
    found.lost += [f"{one} was not folded" for one in sorted(published - folded.keys())]


def _read(broker: Broker, topic: str) -> list[Envelope]:
    contents = [
        encoding.read(record)
        for place, log in sorted(broker.logs.items())
        if place[0] == topic
        for record in log
    ]
    return [content for content in contents if isinstance(content, Envelope)]


def _decided(events: Sequence[StoredEvent], broker: Broker, found: Findings) -> None:
    """Check that each record has a decision: under its source and id, or under its place."""
    facts = [fact_in(event.type, json.loads(event.data)) for event in events]
    decided = {
        str(fact.operation)
        for fact in facts
        if isinstance(fact, IntentAllowed | IntentDenied | RequestAllowed)
    }
    for (topic, partition), log in sorted(broker.logs.items()):
        if topic not in topics.INTENTS:
            continue
        for record in log:
            content = encoding.read(record)
            if not isinstance(content, Envelope):
                continue
            place = str(record_operation(topic, partition, record.offset))
            if decided.isdisjoint({place, operation_text(content.source, content.id)}):
                found.lost.append(f"{topic}/{partition}/{record.offset} has no decision")
