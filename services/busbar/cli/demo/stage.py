"""Reports a demo as it happens: every record of an operation, with its time and position."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape

from busbar.cli.demo.clients import Receiver
from busbar.sdk import Client
from busbar.sdk.answers import AuditRecord

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
        self.console.print(f"\n[bold]Act {number} of 6 · {escape(sentence)}[/bold]")

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

    def add(self, record: AuditRecord) -> None:
        place = (record.topic, record.partition, record.offset)
        if place in self.records:
            return
        again = any(known.id == record.id for known in self.records.values())
        self.records[place] = record
        what, sentence = _describe(record)
        if again and what != "received":
            what, sentence = "again", f"{sentence}: published twice, counted once"
        where = f"{record.topic}[{record.partition}]@{record.offset}"
        self._stage.report(what, f"{sentence}  ({where})", since=self._since)
        self.ended = self.ended or record.type in _FINAL_TYPES


_FINAL_TYPES = frozenset(
    {*SUBSCRIBED_TYPES, "busbar.resource.deleted.v1", "busbar.policy.expired.v1"}
)


def _describe(record: AuditRecord) -> tuple[str, str]:
    data = record.data if isinstance(record.data, dict) else {}
    kind = (record.type or "").removeprefix("busbar.")
    match kind:
        case "resource.apply.v1" | "resource.delete.v1":
            return "received", f"intent {record.id}"
        case "policy.allowed.v1":
            rules = ", ".join(data["rules"]) or "none"
            return "decided", f"allowed by {data['promise']['name']}; rules: {rules}"
        case "policy.denied.v1":
            return "decided", f"denied: {data['reason']}"
        case "policy.conflicted.v1":
            return "conflict", "same id, other content: recorded, but not processed"
        case "resource.queued.v1":
            return "queued", f"generation {data['generation']}"
        case "resource.step-started.v1":
            about = f"saw {data['observed']}, will {data['action']}, epoch {data['epoch']}"
            return "step", f"{data['step']}: {about}"
        case "resource.step-succeeded.v1":
            return "step", f"{data['step']}: done"
        case "resource.step-failed.v1":
            return "step", f"{data['step']}: failed: {data['detail']}"
        case "resource.step-undone.v1":
            how = "removed" if data["was_there"] else "nothing to remove"
            return "undo", f"{data['step']}: {how}"
        case "resource.provisioned.v1":
            return "provisioned", f"{data['change']}: {data['outputs']}"
        case "resource.failed.v1":
            return "failed", f"at {data['failed_step']}, compensated, left: {data['left']}"
        case _:
            return kind.split(".")[-2] if "." in kind else "record", kind
