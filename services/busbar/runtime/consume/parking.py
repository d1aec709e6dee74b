"""Parking: a failing message stops its own sequence, and nothing else (law 8).

The message is kept as a dead letter, and so is everything that comes behind it in its sequence
(the same record key), in order. The sequence is tried again by itself, less and less often, and
when somebody asks for it; what waits is then handled in its order, one transaction each.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final

from busbar.kernel.errors import BusbarError, Conflict, Fenced, Retry
from busbar.kernel.ids import operation_id
from busbar.messages import topics
from busbar.messages.base import IntentRef
from busbar.messages.delivery import (
    DeadLetterDiscarded,
    DeadLetterRecovered,
    DeadLetterRedriven,
)
from busbar.messages.envelope import Envelope
from busbar.runtime.consume.dead_letters import DeadLetters, Why, shortened
from busbar.runtime.core.backoff import Backoff, Chance, chance
from busbar.runtime.core.bus import Record
from busbar.runtime.store import STORE_AWAY, Cause, Claim, Transaction
from busbar.runtime.store.parts.parked import Request, Wait
from busbar.runtime.tasks.runner import Work
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()

PARKED: Final = "parked"
"""The kind of task that tries a sequence again."""

AGAIN: Final = Backoff(first=20.0, longest=3600.0)
"""A bug is mended in minutes or hours; a sequence of its own costs little to try."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9._/:#@-]{1,200}")

LetterFact = DeadLetterRecovered | DeadLetterRedriven | DeadLetterDiscarded

Again = Callable[[Transaction, Record], Awaitable[str]]
"""Handles a record that was kept; returns a remark, raises what kept it from being handled."""


def sequence_of(record: Record) -> str:
    """The sequence that ``record`` is part of: its key, or one of its own if it has none."""
    if record.key is None:
        return f"{record.topic}/{record.partition}/{record.offset}"
    key = record.key.decode("utf-8", "replace")
    if _PLAIN.fullmatch(key):
        return key
    return f"sha256:{hashlib.sha256(record.key).hexdigest()}"


class Parking:
    """The parked sequences of one service."""

    def __init__(
        self, service: str, letters: DeadLetters, again: Again, *, chance: Chance = chance
    ) -> None:
        """Keep records as ``letters``, and handle them ``again``; waits differ by ``chance``."""
        self._service = service
        self._letters = letters
        self._again = again
        self._backoff = replace(AGAIN, chance=chance)

    async def among(self, tx: Transaction, records: Collection[Record]) -> frozenset[str]:
        """The sequences of ``records`` that are parked."""
        sequences = {sequence_of(record) for record in records}
        return await tx.parked.among(self._service, sequences)

    async def park(
        self, tx: Transaction, record: Record, why: Why, envelope: Envelope | None
    ) -> None:
        """Park the sequence of ``record``, which failed."""
        sequence = sequence_of(record)
        letter = await self._letters.keep(tx, record, why, envelope, sequence=sequence)
        await tx.parked.park(self._service, sequence, letter)
        due = tx.now + timedelta(seconds=self._backoff.after(1))
        await tx.tasks.schedule(PARKED, sequence, due=due)
        log.warning("sequence_parked", reason=why.reason, topic=record.topic, letter=letter)

    async def keep_behind(self, tx: Transaction, record: Record, envelope: Envelope | None) -> None:
        """Have ``record`` wait, as something before it in its sequence does."""
        sequence = sequence_of(record)
        wait = await tx.parked.first(self._service, sequence)
        behind = wait.letter if wait else None
        why = Why("parked", f"it waits behind dead letter {behind}: redrive or discard that one")
        letter = await self._letters.keep(
            tx, record, why, envelope, sequence=sequence, behind=behind
        )
        await tx.parked.park(self._service, sequence, letter)

    # -- trying again ---------------------------------------------------------------------------

    async def resume(self, work: Work) -> None:
        """Handle what waits in a sequence, until nothing does or something fails again."""
        while await work.record(partial(self._next, work.claim)):
            pass

    async def _next(self, claim: Claim, tx: Transaction) -> bool:
        """Handle the first letter; whether to go on with the one behind it."""
        sequence = claim.name
        wait = await tx.parked.first(self._service, sequence)
        if wait is None:
            await tx.parked.let_go(self._service, sequence)
            await tx.tasks.remove(claim)
            log.info("sequence_resumed")
            return False
        problem = await self._try(tx, wait)
        if problem is None:
            await tx.parked.take_out(wait.letter)
            open_ = [one for one in wait.requests if one["letter"] != wait.letter]
            await tx.parked.tried(self._service, sequence, attempts=0, requests=open_)
            return True
        for request in wait.requests:
            behind = "" if request["letter"] == wait.letter else f"it waits behind {wait.letter}: "
            await answer(tx, self._service, request, "failed", behind + problem)
        attempts = wait.attempts + 1
        await tx.parked.tried(self._service, sequence, attempts=attempts, requests=())
        again = tx.now + timedelta(seconds=self._backoff.after(attempts + 1))
        await tx.tasks.finish(claim, again=again)
        log.warning("sequence_failed_again", letter=wait.letter, attempts=attempts)
        return False

    async def _try(self, tx: Transaction, wait: Wait) -> str | None:
        """Handle the letter, and tell that; what kept it from being handled, or None."""
        record = await self._letters.find(tx, wait.letter)
        if record is None:
            raise BusbarError(f"the letter {wait.letter} waits, and is not in the store")
        remark, problem = await attempt(self._service, self._again, tx, record)
        if problem is not None:
            return problem
        recovered = DeadLetterRecovered(
            letter=wait.letter,
            operation=self._letters.blocked(record),
            service=self._service,
            sequence=sequence_of(record),
            attempts=wait.attempts,
        )
        tx.caused_by(self._letters.cause(record, "recovered"))
        await append(tx, self._service, recovered)
        for request in wait.requests:
            if request["letter"] == wait.letter:
                await answer(tx, self._service, request, "handled", remark)
        return None


def asked(envelope: Envelope, letter: str, cause: Cause) -> Request:
    """That somebody wants ``letter`` handled again, to be answered when it was tried."""
    return {
        "letter": letter,
        "source": envelope.source,
        "id": envelope.id,
        "type": envelope.type,
        "correlation": cause.correlation,
        "traceparent": cause.traceparent,
    }


async def answer(
    tx: Transaction, service: str, request: Request, outcome: str, detail: str
) -> None:
    """Tell who asked for a letter to be handled again how that went."""
    source, id_ = request["source"], request["id"]
    tx.caused_by(Cause(source, id_, request["correlation"], request["traceparent"]))
    fact = DeadLetterRedriven.model_validate(
        {
            "operation": operation_id(source, id_),
            "letter": request["letter"],
            "service": service,
            "intent": IntentRef(source=source, id=id_, type=request["type"]),
            "outcome": outcome,
            "detail": detail,
        }
    )
    await append(tx, service, fact)


async def append(tx: Transaction, service: str, fact: LetterFact) -> None:
    """Append what is told about a letter, in the order of what was told before."""
    topic = topics.dead_letters(service)
    await tx.append(f"letter/{fact.letter}", [fact], key=fact.letter, topic=topic)


async def attempt(
    service: str, again: Again, tx: Transaction, record: Record
) -> tuple[str, str | None]:
    """Handle ``record`` by ``again``: the remark, and what kept it from being handled.

    Nothing that a failed attempt did stays.
    """
    try:
        async with tx.savepoint():
            return await again(tx, record), None
    except (Conflict, Fenced, *STORE_AWAY):
        raise
    except Retry as error:
        return "", f"{service} wants to wait: {error}"
    except BusbarError as error:
        return "", shortened(str(error))
    except Exception as error:
        log.exception("redrive_failed")
        return "", f"{service} failed with {type(error).__name__}"
