"""Checks that what was erased is nowhere in clear and cannot be opened, and the rest can."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from busbar.kernel.ids import operation_text
from busbar.kernel.personal import SEALED, parts_of, sealed_in
from busbar.messages.envelope import Envelope
from busbar.messages.identity import SubjectErased
from busbar.runtime.core import encoding
from busbar.runtime.core.bus import Record
from busbar.runtime.personal import PersonalData
from busbar.runtime.store import StoredEvent
from faults.erasure import ANN, BOB, DIRECT, ERASE
from faults.names import SOURCE, THING
from faults.report import Findings
from faults.simulation import LOGGED, Simulation

Stored = Mapping[str, Sequence[StoredEvent]]

_WRITERS = ("gateway", "policy", "provisioner", "audit")
"""The services that store a sealed value of each person."""


async def judge_erasure(simulation: Simulation, stored: Stored, found: Findings) -> None:
    """Check the scenario ``erasure``; others have no personal data."""
    if not simulation.scenario.personal:
        return
    for place, content in _bytes(simulation):
        found.leaked += [
            f"{name} is in clear in {place}"
            for name in (ANN, BOB)
            if name.encode() in content.lower()
        ]
    _destroyed(simulation, found)
    personal = simulation.personal_data()
    try:
        await _sealed(personal, _trees(simulation, stored), found)
    finally:
        await personal.close()
    _announced(stored["identity"], found)


def _destroyed(simulation: Simulation, found: Findings) -> None:
    """Check that the erased key, which was there, is in no file of the database any more."""
    if len(simulation.outside.stored_keys) != 1:
        found.lost.append(f"{len(simulation.outside.stored_keys)} keys were there, not one")
    for file in sorted(simulation.home.glob("secrets.db*")):
        content = file.read_bytes()
        if any(key in content for key in simulation.outside.stored_keys):
            found.leaked.append(f"the erased key is still in {file.name}")


def _bytes(simulation: Simulation) -> Iterator[tuple[str, bytes]]:
    """Yield everything that is kept, as bytes, but for the intent that was published in clear."""
    for file in sorted(simulation.root.rglob("*.db*")):
        yield file.name, file.read_bytes()
    for record in _records(simulation):
        content = encoding.read(record)
        if not (isinstance(content, Envelope) and content.id == DIRECT):
            place = f"{record.topic}/{record.partition}/{record.offset}"
            yield place, repr((record.key, record.headers)).encode() + (record.value or b"")
    yield "a webhook", b"\n".join(simulation.outside.bodies)
    yield "the logs", "\n".join(LOGGED).encode()


def _records(simulation: Simulation) -> Iterator[Record]:
    for _, log in sorted(simulation.broker.logs.items()):
        yield from log


def _trees(simulation: Simulation, stored: Stored) -> Mapping[str, Sequence[Any]]:
    """Return the contents of events, by where they are."""
    contents = [encoding.read(record) for record in _records(simulation)]
    published = [content.data for content in contents if isinstance(content, Envelope)]
    return {
        "the bus": published,
        **{name: [json.loads(event.data) for event in events] for name, events in stored.items()},
    }


async def _sealed(
    personal: PersonalData, trees: Mapping[str, Sequence[Any]], found: Findings
) -> None:
    """Check that no sealed value of the one person opens, and each of the other does."""
    ann, bob = [await _pseudonym(personal, name) for name in (ANN, BOB)]
    for place, contents in trees.items():
        texts = set(sealed_in(contents))
        subjects = {parts_of(text)[0] for text in texts}
        if place in ("the bus", *_WRITERS):
            found.lost += [f"{place} has no sealed value of {one}" for one in {ann, bob} - subjects]
        found.lost += [f"{place} has a value of {one}" for one in subjects - {ann, bob}]
        for text in texts:
            opened = await personal.open({SEALED: text}, THING["team"])
            if parts_of(text)[0] == ann and opened.values:
                found.leaked.append(f"a value in {place} opens although it was erased")
            if parts_of(text)[0] == bob and opened.tree != BOB:
                found.lost.append(f"a value in {place} does not open")


async def _pseudonym(personal: PersonalData, name: str) -> str:
    data = await personal.seal({"subject": name})
    return str(data["subject"]).removeprefix("subject:")


def _announced(events: Sequence[StoredEvent], found: Findings) -> None:
    """Check that the erasure is announced once, as that of data that were there."""
    facts = [
        SubjectErased.model_validate_json(event.data)
        for event in events
        if event.type == SubjectErased.TYPE
    ]
    operation = operation_text(SOURCE, ERASE)
    if [(str(fact.operation), fact.existed) for fact in facts] != [(operation, True)]:
        shown = [fact.model_dump_json() for fact in facts]
        found.lost.append(f"the erasure was announced as {shown}")
