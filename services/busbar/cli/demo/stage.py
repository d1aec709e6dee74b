"""Reports a demo as it happens: every record of an operation, with its time and position."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape

from busbar.cli.demo.clients import Receiver
from busbar.messages.base import Intent, Message
from busbar.messages.catalogue import BY_TYPE
from busbar.messages.http import AuditRecord
from busbar.messages.narrative import narrate, undescribed
from busbar.messages.policy import IntentAllowed, IntentConflicted, IntentDenied, IntentExpired
from busbar.messages.resource import (
    ResourceDeleted,
    ResourceFailed,
    ResourceProvisioned,
    ResourceQueued,
    ResourceStuck,
    StepFailed,
    StepRetained,
    StepStarted,
    StepSucceeded,
    StepUndone,
)
from busbar.messages.topics import FACTS_POLICY
from busbar.sdk import Client

Found = TypeVar("Found")

TIMEOUT_SECONDS = 30.0
POLL_SECONDS = 0.02
PROGRESS_SECONDS = 2.0
SUBSCRIBED_TYPES = (
    "busbar.resource.provisioned.v1",
    "busbar.resource.failed.v1",
    "busbar.policy.denied.v1",
)
"""The types that the demo subscribes to: each ends an operation."""


class ActFailed(Exception):
    """An act did not show what it is meant to show."""


def require(condition: object, message: str) -> None:
    """Fail the act with ``message`` unless ``condition`` holds.

    Raises:
        ActFailed: it does not hold.
    """
    if not condition:
        raise ActFailed(message)


class Stage:
    """Prints the acts on a console, and follows operations through audit and the receiver."""

    def __init__(self, console: Console, client: Client, receiver: Receiver) -> None:
        self.console = console
        self.client = client
        self.receiver = receiver

    def title(self, number: int, sentence: str) -> None:
        """Print the title of an act."""
        self.console.print(f"\n[bold]Act {number} of 8 · {escape(sentence)}[/bold]")

    def report(self, what: str, sentence: str, *, since: float | None = None) -> None:
        """Print one line; ``since`` is the monotonic time that its own time is relative to."""
        at = "" if since is None else f"+{(time.monotonic() - since) * 1000:.0f} ms"
        self.console.print(
            f"  [dim]{at:>9}[/dim]  [cyan]{what:<11}[/cyan] {escape(sentence)}", soft_wrap=True
        )

    def passed(self, sentence: str) -> None:
        """Print what an act has shown."""
        self.console.print(f"  [green]✔[/green] {escape(sentence)}", soft_wrap=True)

    async def until(self, what: str, check: Callable[[], Awaitable[Found | None]]) -> Found:
        """Return what ``check`` finds, as soon as it finds something.

        Raises:
            ActFailed: it found nothing for half a minute.
        """
        begin = said = time.monotonic()
        while time.monotonic() - begin < TIMEOUT_SECONDS:
            found = await check()
            if found is not None and found is not False:
                return found
            if time.monotonic() - said > PROGRESS_SECONDS:
                said = time.monotonic()
                self.report("waiting", f"for {what}", since=begin)
            await asyncio.sleep(POLL_SECONDS)
        raise ActFailed(f"waited {TIMEOUT_SECONDS:g} seconds for {what}")

    async def follow(
        self, operation: str, *, since: float, webhook: bool = True
    ) -> list[AuditRecord]:
        """Report an operation to its end, from the audit log, and return its records."""
        log = _OperationLog(self, since)

        async def ended() -> bool | None:
            for record in (await self.client.audit_page(operation=operation)).items:
                log.add(record)
            return log.ended or None

        await self.until("the operation's end in the audit log", ended)
        if webhook:
            await self._webhook(operation, since=since)
        self.report(
            "audited", f"{len(log.records)} of its records are in the audit log", since=since
        )
        return list(log.records.values())

    async def _webhook(self, operation: str, *, since: float) -> None:
        async def delivered() -> Mapping[str, Any] | None:
            events = self.receiver.received.get(operation)
            return events[-1] if events else None

        event = await self.until("the webhook", delivered)
        self.report("webhook", f"{event['type']} received, signature verified", since=since)


class _OperationLog:
    """The records of one operation, each reported once."""

    def __init__(self, stage: Stage, since: float) -> None:
        self._stage = stage
        self._since = since
        self.records: dict[tuple[str, int, int], AuditRecord] = {}
        self.ended = False
        self._waiting: list[AuditRecord] = []
        self._reported = 0
        self._ids: set[str | None] = set()

    def add(self, record: AuditRecord) -> None:
        """Report the record once everything that it follows from was reported."""
        place = (record.topic, record.partition, record.offset)
        if place in self.records:
            return
        self.records[place] = record
        self._waiting.append(record)
        while ready := [one for one in self._waiting if _order(one) <= self._reported]:
            first = min(ready, key=_order)
            self._waiting.remove(first)
            self._report(first)
            self._reported = max(self._reported, _order(first) + 1)

    def _report(self, record: AuditRecord) -> None:
        again = record.id in self._ids
        self._ids.add(record.id)
        what, sentence = _describe(record)
        if again and what != "received":
            what, sentence = "again", f"{sentence}: published twice, counted once"
        where = f"{record.topic}[{record.partition}]@{record.offset}"
        self._stage.report(what, f"{sentence}  ({where})", since=self._since)
        self.ended = self.ended or record.type in _FINAL_TYPES


def _order(record: AuditRecord) -> int:
    """Return 0 for an intent, 1 for a decision, 2 for what follows: topics arrive in any order."""
    model = BY_TYPE.get(record.type or "")
    if model is None or issubclass(model, Intent):
        return 0
    return 1 if record.topic == FACTS_POLICY else 2


_FINAL_TYPES = frozenset(
    {*SUBSCRIBED_TYPES, "busbar.resource.deleted.v1", "busbar.policy.expired.v1"}
)


_LABELS: Mapping[type[Message], str] = {
    IntentAllowed: "decided",
    IntentDenied: "decided",
    IntentExpired: "expired",
    IntentConflicted: "conflict",
    ResourceQueued: "queued",
    StepStarted: "step",
    StepSucceeded: "step",
    StepFailed: "step",
    StepUndone: "undo",
    StepRetained: "left",
    ResourceProvisioned: "provisioned",
    ResourceDeleted: "deleted",
    ResourceFailed: "failed",
    ResourceStuck: "stuck",
}


def _describe(record: AuditRecord) -> tuple[str, str]:
    """Return the label and the sentence of a record."""
    model = BY_TYPE.get(record.type or "")
    if model is None:
        return "record", undescribed(record.type or "unknown").removesuffix(".")
    if issubclass(model, Intent):
        return "received", f"intent {record.id}"
    fact = model.model_validate(record.data)
    sentence = narrate(fact) or undescribed(fact.TYPE)
    return _LABELS.get(model, "record"), sentence.removesuffix(".")
