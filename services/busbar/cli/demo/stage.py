"""Tells a story as it happens: every record of an operation, with its time and its place."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape

from busbar.cli.demo.outside import Receiver
from busbar.messages.base import Intent, Message
from busbar.messages.catalogue import BY_TYPE
from busbar.messages.narrative import narrate, undescribed
from busbar.messages.policy import IntentAllowed, IntentConflicted, IntentDenied, IntentExpired
from busbar.messages.resource import (
    ResourceDeleted,
    ResourceFailed,
    ResourceProvisioned,
    ResourceQueued,
    ResourceStuck,
    StepFailed,
    StepStarted,
    StepSucceeded,
    StepUndone,
)
from busbar.sdk import Client
from busbar.sdk.answers import AuditRecord

Found = TypeVar("Found")

PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.02
SAY_SOMETHING_SECONDS = 2.0
TOLD = ("busbar.resource.provisioned.v1", "busbar.resource.failed.v1", "busbar.policy.denied.v1")
"""What the demo's subscriber wants to hear."""


class ActFailed(Exception):
    """What the act was to show did not happen."""


def require(truth: object, sentence: str) -> None:
    """Fail the act with ``sentence`` unless ``truth`` holds.

    Raises:
        ActFailed: it does not.
    """
    if not truth:
        raise ActFailed(sentence)


class Stage:
    """Where the acts are played."""

    def __init__(self, console: Console, client: Client, receiver: Receiver) -> None:
        """Tell on ``console`` what ``client`` and ``receiver`` see."""
        self.console = console
        self.client = client
        self.receiver = receiver

    def title(self, number: int, sentence: str) -> None:
        """Begin an act."""
        self.console.print(f"\n[bold]Act {number} of 6 · {escape(sentence)}[/bold]")

    def tell(self, what: str, sentence: str, *, since: float | None = None) -> None:
        """One line of the story; ``since`` is the monotonic time at which it began."""
        at = "" if since is None else f"+{(time.monotonic() - since) * 1000:.0f} ms"
        self.console.print(
            f"  [dim]{at:>9}[/dim]  [cyan]{what:<11}[/cyan] {escape(sentence)}", soft_wrap=True
        )

    def good(self, sentence: str) -> None:
        """What the act has shown."""
        self.console.print(f"  [green]✔[/green] {escape(sentence)}", soft_wrap=True)

    async def until(self, what: str, look: Callable[[], Awaitable[Found | None]]) -> Found:
        """What ``look`` finds, as soon as it finds something.

        Raises:
            ActFailed: it found nothing for half a minute.
        """
        begin = said = time.monotonic()
        while time.monotonic() - begin < PATIENCE_SECONDS:
            found = await look()
            if found is not None and found is not False:
                return found
            if time.monotonic() - said > SAY_SOMETHING_SECONDS:
                said = time.monotonic()
                self.tell("waiting", f"for {what}", since=begin)
            await asyncio.sleep(LOOK_SECONDS)
        raise ActFailed(f"waited {PATIENCE_SECONDS:g} seconds for {what}")

    async def follow(
        self, operation: str, *, since: float, webhook: bool = True
    ) -> list[AuditRecord]:
        """Tell an operation to its end, from audit's copy; returns its records."""
        story = _Story(self, since)

        async def ended() -> bool | None:
            for record in (await self.client.audit_page(operation=operation)).items:
                story.tell(record)
            return story.ended or None

        await self.until("the operation's end in the audit log", ended)
        if webhook:
            await self._webhook(operation, since=since)
        self.tell("audited", f"{len(story.told)} records of it are in the audit log", since=since)
        return list(story.told.values())

    async def _webhook(self, operation: str, *, since: float) -> None:
        async def told() -> Mapping[str, Any] | None:
            events = self.receiver.received.get(operation)
            return events[-1] if events else None

        event = await self.until("the webhook", told)
        self.tell("webhook", f"{event['type']} received, signature verified", since=since)


class _Story:
    """The records of one operation, each told once."""

    def __init__(self, stage: Stage, since: float) -> None:
        self._stage = stage
        self._since = since
        self.told: dict[tuple[str, int, int], AuditRecord] = {}
        self.ended = False

    def tell(self, record: AuditRecord) -> None:
        place = (record.topic, record.partition, record.offset)
        if place in self.told:
            return
        again = any(known.id == record.id for known in self.told.values())
        self.told[place] = record
        what, sentence = _say(record)
        if again and what != "received":
            what, sentence = "again", f"{sentence}: published twice, counts once"
        where = f"{record.topic}[{record.partition}]@{record.offset}"
        self._stage.tell(what, f"{sentence}  ({where})", since=self._since)
        self.ended = self.ended or record.type in _ENDS


_ENDS = frozenset({*TOLD, "busbar.resource.deleted.v1", "busbar.policy.expired.v1"})


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
    ResourceProvisioned: "provisioned",
    ResourceDeleted: "deleted",
    ResourceFailed: "failed",
    ResourceStuck: "stuck",
}


def _say(record: AuditRecord) -> tuple[str, str]:
    """Return the label and the sentence of a record."""
    model = BY_TYPE.get(record.type or "")
    if model is None:
        return "record", undescribed(record.type or "unknown")
    if issubclass(model, Intent):
        return "received", f"intent {record.id}"
    fact = model.model_validate(record.data)
    return _LABELS.get(model, "record"), narrate(fact) or undescribed(fact.TYPE)
