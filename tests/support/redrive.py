"""Intents to redrive dead letters of the toy service, and what became of them."""

from busbar.messages.base import Intent
from busbar.messages.delivery import (
    DeadLetterRedriven,
    DiscardDeadLetter,
    RedriveDeadLetter,
)
from busbar.messages.request import RequestAllowed
from busbar.runtime.core.bus import Record
from support.requests import allowed
from support.runtime import SOURCE, Toy, record


def redrive(offset: int, dead_letter: str, service: str = "policy") -> Record:
    """The request to handle ``dead_letter`` again, as policy allows it."""
    return request(offset, RedriveDeadLetter, dead_letter, service)


def discard(offset: int, dead_letter: str, service: str = "policy") -> Record:
    """The request to discard ``dead_letter``, as policy allows it."""
    return request(offset, DiscardDeadLetter, dead_letter, service)


def request(offset: int, intent: type[Intent], dead_letter: str, service: str) -> Record:
    """The request to do something about ``dead_letter``, as policy allows it."""
    verb = "redrive" if intent is RedriveDeadLetter else "discard"
    data = {"service": service, "dead_letter": dead_letter}
    fact = allowed(intent, data, source=SOURCE, id_=f"{verb}-{offset}", about=dead_letter)
    return record(
        offset,
        fact.model_dump(mode="json"),
        id_=f"allowed-{offset}",
        type_=RequestAllowed.TYPE,
        topic=RequestAllowed.TOPIC,
        key=dead_letter,
    )


async def outcomes(toy: Toy) -> list[DeadLetterRedriven]:
    """The recorded outcomes, oldest first."""
    return [
        DeadLetterRedriven.model_validate_json(event.data)
        for event in await toy.store.events(limit=10_000)
        if event.type == DeadLetterRedriven.TYPE
    ]
