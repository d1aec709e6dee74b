"""Intents to redrive dead letters of the toy service, and what became of them."""

from busbar.messages.delivery import DeadLetterRedriven, RedriveDeadLetter
from busbar.messages.topics import INTENTS_DEAD_LETTER
from busbar.runtime.core.bus import Record
from support.runtime import (
    Toy,
    record,
)


def redrive(offset: int, dead_letter: str, service: str = "policy") -> Record:
    """The request to handle ``dead_letter`` again."""
    return record(
        offset,
        {"service": service, "dead_letter": dead_letter},
        id_=f"redrive-{offset}",
        type_=RedriveDeadLetter.TYPE,
        topic=INTENTS_DEAD_LETTER,
    )


async def outcomes(toy: Toy) -> list[DeadLetterRedriven]:
    """The recorded outcomes, oldest first."""
    return [
        DeadLetterRedriven.model_validate_json(event.data)
        for event in await toy.store.events(limit=10_000)
        if event.type == DeadLetterRedriven.TYPE
    ]
