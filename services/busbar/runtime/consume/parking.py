"""Parking: a failing message stops its own ordering key, and nothing else (law 8).

The message is kept as a dead letter, and so is everything that comes behind it in its ordering key
(the same record key), in order. The ordering key is tried again by itself, less and less often, and
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
from busbar.runtime.consume.dead_letters import DeadLetterReason, DeadLetters, shortened
from busbar.runtime.core.backoff import Backoff, Chance, chance
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Cause, Claim, StoreTransaction, StoreUnavailable, Transaction
from busbar.runtime.store.parts.parked import Request, Wait
from busbar.runtime.tasks.runner import Work
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()

PARKED: Final = "parked"
"""The kind of task that tries an ordering key again."""

PARKED_BACKOFF: Final = Backoff(first=20.0, longest=3600.0)
"""A bug is mended in minutes or hours; an ordering key of its own costs little to try."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9._/:#@-]{1,200}")

DeadLetterFact = DeadLetterRecovered | DeadLetterRedriven | DeadLetterDiscarded

RetryRecord = Callable[[StoreTransaction, Record], Awaitable[str]]
"""Handles a record that was kept; returns a remark, raises what kept it from being handled."""


def ordering_key_of(record: Record) -> str:
    """The ordering key that ``record`` is part of: its key, or one of its own if it has none."""
    if record.key is None:
        return f"{record.topic}/{record.partition}/{record.offset}"
    key = record.key.decode("utf-8", "replace")
    if _PLAIN.fullmatch(key):
        return key
    return f"sha256:{hashlib.sha256(record.key).hexdigest()}"


class Parking:
    """The parked ordering keys of one service."""

    def __init__(
        self,
        service: str,
        dead_letters: DeadLetters,
        retry_record: RetryRecord,
        *,
        chance: Chance = chance,
    ) -> None:
        """Keep records as ``dead_letters`` and retry them by ``retry_record``; ``chance`` adds jitter."""
        self._service = service
        self._dead_letters = dead_letters
        self._retry_record = retry_record
        self._backoff = replace(PARKED_BACKOFF, chance=chance)

    async def among(self, tx: StoreTransaction, records: Collection[Record]) -> frozenset[str]:
        """The ordering keys of ``records`` that are parked."""
        ordering_keys = {ordering_key_of(record) for record in records}
        return await tx.parked.among(self._service, ordering_keys)

    async def park(
        self, tx: StoreTransaction, record: Record, why: DeadLetterReason, envelope: Envelope | None
    ) -> None:
        """Park the ordering key of ``record``, which failed."""
        ordering_key = ordering_key_of(record)
        dead_letter = await self._dead_letters.keep(
            tx, record, why, envelope, ordering_key=ordering_key
        )
        await tx.parked.park(self._service, ordering_key, dead_letter)
        due = tx.now + timedelta(seconds=self._backoff.after(1))
        await tx.tasks.schedule(PARKED, ordering_key, due=due)
        log.warning(
            "ordering_key_parked", reason=why.reason, topic=record.topic, dead_letter=dead_letter
        )

    async def keep_behind(
        self, tx: StoreTransaction, record: Record, envelope: Envelope | None
    ) -> None:
        """Have ``record`` wait, as something before it in its ordering key does."""
        ordering_key = ordering_key_of(record)
        wait = await tx.parked.first(self._service, ordering_key)
        behind = wait.dead_letter if wait else None
        why = DeadLetterReason(
            "parked", f"it waits behind dead letter {behind}: redrive or discard that one"
        )
        dead_letter = await self._dead_letters.keep(
            tx, record, why, envelope, ordering_key=ordering_key, behind=behind
        )
        await tx.parked.park(self._service, ordering_key, dead_letter)

    # -- trying again ---------------------------------------------------------------------------

    async def resume(self, work: Work) -> None:
        """Handle what waits in an ordering key, until nothing does or something fails again."""
        while await work.record(partial(self._next, work.claim)):
            pass

    async def _next(self, claim: Claim, tx: Transaction) -> bool:
        """Handle the first dead letter; whether to go on with the one behind it."""
        if not isinstance(tx, StoreTransaction):
            raise TypeError("parked records are handled in a transaction of the store only")
        ordering_key = claim.name
        wait = await tx.parked.first(self._service, ordering_key)
        if wait is None:
            await tx.parked.let_go(self._service, ordering_key)
            await tx.tasks.remove(claim)
            log.info("ordering_key_resumed")
            return False
        problem = await self._try(tx, wait)
        if problem is None:
            await tx.parked.take_out(wait.dead_letter)
            open_ = [one for one in wait.requests if one["dead_letter"] != wait.dead_letter]
            await tx.parked.tried(self._service, ordering_key, attempts=0, requests=open_)
            return True
        for request in wait.requests:
            behind = (
                ""
                if request["dead_letter"] == wait.dead_letter
                else f"it waits behind {wait.dead_letter}: "
            )
            await publish_outcome(tx, self._service, request, "failed", behind + problem)
        attempts = wait.attempts + 1
        await tx.parked.tried(self._service, ordering_key, attempts=attempts, requests=())
        again = tx.now + timedelta(seconds=self._backoff.after(attempts + 1))
        await tx.tasks.finish(claim, again=again)
        log.warning("ordering_key_failed_again", dead_letter=wait.dead_letter, attempts=attempts)
        return False

    async def _try(self, tx: StoreTransaction, wait: Wait) -> str | None:
        """Handle the letter, and tell that; what kept it from being handled, or None."""
        record = await self._dead_letters.find(tx, wait.dead_letter)
        if record is None:
            raise BusbarError(f"the dead letter {wait.dead_letter} waits, and is not in the store")
        remark, problem = await try_record(self._service, self._retry_record, tx, record)
        if problem is not None:
            return problem
        recovered = DeadLetterRecovered(
            dead_letter=wait.dead_letter,
            operation=self._dead_letters.blocked(record),
            service=self._service,
            ordering_key=ordering_key_of(record),
            attempts=wait.attempts,
        )
        tx.caused_by(self._dead_letters.cause(record, "recovered"))
        await append_fact(tx, self._service, recovered)
        for request in wait.requests:
            if request["dead_letter"] == wait.dead_letter:
                await publish_outcome(tx, self._service, request, "handled", remark)
        return None


def redrive_request(envelope: Envelope, dead_letter: str, cause: Cause) -> Request:
    """That somebody wants ``dead_letter`` handled again, to be answered when it was tried."""
    return {
        "dead_letter": dead_letter,
        "source": envelope.source,
        "id": envelope.id,
        "type": envelope.type,
        "correlation": cause.correlation,
        "traceparent": cause.traceparent,
    }


async def publish_outcome(
    tx: StoreTransaction, service: str, request: Request, outcome: str, detail: str
) -> None:
    """Tell who asked for a dead letter to be handled again how that went."""
    source, id_ = request["source"], request["id"]
    tx.caused_by(Cause(source, id_, request["correlation"], request["traceparent"]))
    fact = DeadLetterRedriven.model_validate(
        {
            "operation": operation_id(source, id_),
            "dead_letter": request["dead_letter"],
            "service": service,
            "intent": IntentRef(source=source, id=id_, type=request["type"]),
            "outcome": outcome,
            "detail": detail,
        }
    )
    await append_fact(tx, service, fact)


async def append_fact(tx: StoreTransaction, service: str, fact: DeadLetterFact) -> None:
    """Append what is told about a letter, in the order of what was told before."""
    topic = topics.dead_letters(service)
    await tx.append(f"dead-letter/{fact.dead_letter}", [fact], key=fact.dead_letter, topic=topic)


async def try_record(
    service: str, retry_record: RetryRecord, tx: StoreTransaction, record: Record
) -> tuple[str, str | None]:
    """Handle ``record`` by ``retry_record``: the remark, and what kept it from being handled.

    Nothing that a failed attempt did stays.
    """
    try:
        async with tx.savepoint():
            return await retry_record(tx, record), None
    except (Conflict, Fenced, StoreUnavailable):
        raise
    except Retry as error:
        return "", f"{service} wants to wait: {error}"
    except BusbarError as error:
        return "", shortened(str(error))
    except Exception as error:
        log.exception("redrive_failed")
        return "", f"{service} failed with {type(error).__name__}"
