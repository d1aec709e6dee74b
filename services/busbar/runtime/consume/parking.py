"""Parking: a failing message stops its own ordering key, and nothing else (law 8).

The message is kept as a dead letter, and so is every later message of its ordering key (the same
record key), in order. The ordering key is retried automatically with exponential backoff, and on
request; its parked records are then handled in order, one transaction each.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Final, TypeVar

from busbar.kernel.errors import BusbarError, Conflict, Fenced, Reject, Retry
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
from busbar.runtime.core.backoff import Backoff, Jitter, jitter
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Cause, Claim, StoreTransaction, StoreUnavailable, Transaction
from busbar.runtime.store.parts.parked import Request, Wait
from busbar.runtime.tasks.runner import Work
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()

PARKED: Final = "parked"
"""The kind of task that retries a parked ordering key."""

BY_REQUEST: Final = 1
"""The first index of the events of a request: the service's own handler of the fact has 0."""

PARKED_BACKOFF: Final = Backoff(first=20.0, longest=3600.0)
"""Bugs are fixed in minutes or hours, and retrying a single ordering key is cheap."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9._/:#@-]{1,200}")

DeadLetterFact = DeadLetterRecovered | DeadLetterRedriven | DeadLetterDiscarded

Result = TypeVar("Result")

RetryRecord = Callable[[StoreTransaction, Record], Awaitable[str]]
"""Handles a kept record again; returns a remark, or raises the error that prevents it."""


def ordering_key_of(record: Record) -> str:
    """Return the ordering key of ``record``: its key, or a unique one if it has no key."""
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
        jitter: Jitter = jitter,
    ) -> None:
        """Keep records as ``dead_letters``, and retry them with ``retry_record``.

        ``jitter`` adds jitter to the waits.
        """
        self._service = service
        self._dead_letters = dead_letters
        self._retry_record = retry_record
        self._backoff = replace(PARKED_BACKOFF, jitter=jitter)

    async def among(self, tx: StoreTransaction, records: Collection[Record]) -> frozenset[str]:
        """Return the ordering keys of ``records`` that are parked."""
        ordering_keys = {ordering_key_of(record) for record in records}
        return await tx.parked.filter_parked(self._service, ordering_keys)

    async def park(
        self, tx: StoreTransaction, record: Record, why: DeadLetterReason, envelope: Envelope | None
    ) -> None:
        """Park the ordering key of ``record``, which failed for the reason ``why``."""
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
        """Park ``record`` behind the parked records of its ordering key."""
        ordering_key = ordering_key_of(record)
        wait = await tx.parked.first_parked(self._service, ordering_key)
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
        """Handle the parked records of an ordering key, until none is left or one fails again."""
        while await work.record(partial(self._next, work.claim)):
            pass

    async def _next(self, claim: Claim, tx: Transaction) -> bool:
        """Handle the first parked record; return whether to go on with the next one."""
        if not isinstance(tx, StoreTransaction):
            raise TypeError("parked records are handled in a transaction of the store only")
        ordering_key = claim.name
        wait = await tx.parked.first_parked(self._service, ordering_key)
        if wait is None:
            await tx.parked.unpark(self._service, ordering_key)
            await tx.tasks.remove(claim)
            log.info("ordering_key_resumed")
            return False
        problem = await self._try(tx, wait)
        if problem is None:
            await tx.parked.remove(wait.dead_letter)
            open_ = [one for one in wait.requests if one["dead_letter"] != wait.dead_letter]
            await tx.parked.record_attempt(self._service, ordering_key, attempts=0, requests=open_)
            return True
        for request in wait.requests:
            behind = (
                ""
                if request["dead_letter"] == wait.dead_letter
                else f"it waits behind {wait.dead_letter}: "
            )
            await publish_outcome(tx, self._service, request, "failed", behind + problem)
        attempts = wait.attempts + 1
        await tx.parked.record_attempt(self._service, ordering_key, attempts=attempts, requests=())
        again = tx.now + timedelta(seconds=self._backoff.after(attempts + 1))
        await tx.tasks.finish(claim, again=again)
        log.warning("ordering_key_failed_again", dead_letter=wait.dead_letter, attempts=attempts)
        return False

    async def _try(self, tx: StoreTransaction, wait: Wait) -> str | None:
        """Handle a parked record and publish its recovery; return the error, or None."""
        try:
            record = await self._dead_letters.find(tx, wait.dead_letter)
        except Reject as error:
            return error.detail
        if record is None:
            raise BusbarError(f"the dead letter {wait.dead_letter} is parked, but not in the store")
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
    """Return a request to redrive ``dead_letter``, to be answered once it was tried."""
    return {
        "dead_letter": dead_letter,
        "source": envelope.source,
        "id": envelope.id,
        "type": envelope.type,
        "decision": {"source": cause.source, "id": cause.id},
        "correlation": cause.correlation,
        "traceparent": cause.traceparent,
        "onbehalfof": cause.onbehalfof,
    }


async def publish_outcome(
    tx: StoreTransaction, service: str, request: Request, outcome: str, detail: str
) -> None:
    """Publish the outcome of a redrive, caused by the decision that allowed it."""
    source, id_, decision = request["source"], request["id"], request["decision"]
    cause = Cause(
        decision["source"],
        decision["id"],
        request["correlation"],
        request["traceparent"],
        request.get("onbehalfof"),
    )
    tx.caused_by(cause, index=BY_REQUEST)
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
    """Append a fact about a dead letter, in the order of the earlier facts about it."""
    topic = topics.dead_letters(service)
    await tx.append(f"dead-letter/{fact.dead_letter}", [fact], key=fact.dead_letter, topic=topic)


async def try_record(
    service: str, retry_record: RetryRecord, tx: StoreTransaction, record: Record
) -> tuple[str, str | None]:
    """Handle ``record`` with ``retry_record``; return its remark, and the error or None."""
    remark, problem = await attempted(service, tx, partial(retry_record, tx, record))
    return remark or "", None if remark is not None else problem


async def attempted(
    service: str, tx: StoreTransaction, act: Callable[[], Awaitable[Result]]
) -> tuple[Result | None, str]:
    """Return the result of ``act``, or None and the error.

    A failed attempt is rolled back to the savepoint.
    """
    try:
        async with tx.savepoint():
            return await act(), ""
    except (Conflict, Fenced, StoreUnavailable):
        raise
    except Retry as error:
        return None, f"{service} has to wait before a retry: {error}"
    except BusbarError as error:
        return None, shortened(str(error))
    except Exception as error:
        log.exception("dead_letter_failed_again")
        return None, f"{service} failed with {type(error).__name__}"
