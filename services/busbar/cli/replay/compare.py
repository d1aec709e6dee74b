"""Compares the replayed state with the live one, while the platform keeps running."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from busbar.cli.replay.scratch import BLOCK, Counts, Item, Kind, Pair, ScratchState, View
from busbar.kernel.canonical import canonical_json, digest
from busbar.messages.views import OperationView, ResourceView
from busbar.sdk import AuditPage, Client, GatewayProblem, Progress

MAX_CHECKS = 3
"""How often an item is compared again before it counts as different."""

LISTED = 1000
"""Differences that are listed; the others are counted."""

PAGE_SIZE = 1000
_RECHECK_SECONDS = 0.5
_NOT_FOUND = 404

FACTS, LIVE, COMPARED = "records folded", "live items read", "items compared"


class Reporter(Protocol):
    """Shows the progress of a replay."""

    def progress(self, progress: Progress) -> None:
        """Note a number of things that are done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDifference:
    """One field of one item that differs; None where the whole item is missing."""

    kind: Kind
    id: str
    field: str
    replayed: Any
    live: Any


@dataclass(slots=True, kw_only=True)
class Comparison:
    """The result. The digests are over the digests of all items.

    ``different`` counts the differences, of which the first are listed.
    """

    resources: int = 0
    operations: int = 0
    pending: int = 0
    replayed_digest: str = ""
    live_digest: str = ""
    different: int = 0
    differences: list[FieldDifference] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        """True if both states are the same."""
        return self.replayed_digest == self.live_digest


States = dict[Item, tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]]
"""The replayed and the live view of items."""


class Replay:
    """Reads the audit log, rebuilds the state in a store, and compares."""

    def __init__(
        self,
        client: Client,
        scratch: ScratchState,
        *,
        pause: Callable[[float], Awaitable[None]],
        reporter: Reporter,
    ) -> None:
        self._client = client
        self._scratch = scratch
        self._pause = pause
        self._report = reporter.progress
        self._cursor: str | None = None
        self._total = 0

    @property
    def counts(self) -> Counts:
        """The number of records read so far."""
        return self._scratch.counts

    async def run(self) -> Comparison:
        """Replay the whole log and compare; items that changed meanwhile are compared again."""
        await self._read_new_records()
        items = await self._read_live()
        result, replayed, live = Comparison(), _Digest(), _Digest()
        done = 0
        async for block in self._scratch.blocks():
            states = await self._settle([pair.item for pair in block if pair.replayed != pair.live])
            for pair in block:
                _add(pair, states.get(pair.item), result, replayed, live)
            done += len(block)
            self._report(Progress(what=COMPARED, done=done, total=max(items, done)))
        result.replayed_digest, result.live_digest = replayed.text, live.text
        return result

    async def _settle(self, mismatches: list[Item]) -> States:
        """Compare ``mismatches`` again, some of them several times; return their states."""
        states: States = {}
        for attempt in range(MAX_CHECKS):
            if not mismatches:
                break
            if attempt:
                await self._pause(_RECHECK_SECONDS)
            live = {item: await self._live_view(item) for item in mismatches}
            # The log is read after the live state, so that it explains all of that state.
            await self._read_new_records()
            for item in mismatches:
                states[item] = (await self._scratch.view(item), live[item])
            mismatches = [item for item in mismatches if not _same(states[item])]
        return states

    async def _read_new_records(self) -> None:
        """Fold the records that were logged since the last call.

        The next page is on its way while one is folded.
        """
        following = self._page()
        try:
            while (page := await following).items:
                self._total = page.total or self._total
                self._cursor = page.cursor
                following = self._page()
                await self._scratch.fold(page.items)
                done = self.counts.records
                self._report(Progress(what=FACTS, done=done, total=max(self._total, done)))
        finally:
            following.cancel()

    def _page(self) -> asyncio.Task[AuditPage]:
        page = self._client.audit_page(after=self._cursor, limit=PAGE_SIZE)
        return asyncio.create_task(page)

    async def _read_live(self) -> int:
        """Keep the digests of all live views; return how many there are."""
        resources = await self._keep("resource", self._client.resources(), before=0)
        return await self._keep("operation", self._client.operations(), before=resources)

    async def _keep(self, kind: Kind, views: AsyncIterator[View], *, before: int) -> int:
        done, block = before, []
        async for view in views:
            block.append(view)
            if len(block) == BLOCK:
                await self._scratch.set_live(kind, block)
                done += len(block)
                block = []
                self._report(Progress(what=LIVE, done=done, total=None))
        await self._scratch.set_live(kind, block)
        return done + len(block)

    async def _live_view(self, item: Item) -> Mapping[str, Any] | None:
        kind, id_ = item
        view: ResourceView | OperationView
        try:
            if kind == "resource":
                view = await self._client.resource(id_)
            else:
                view = await self._client.operation(id_)
        except GatewayProblem as problem:
            if problem.status == _NOT_FOUND:
                return None
            raise
        return view.model_dump(mode="json")


class _Digest:
    """A digest over the digests of items, in their order."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, item: Item, own: str | None) -> None:
        if own is not None:
            self._hash.update(canonical_json([*item, own], parsed=True) + b"\n")

    @property
    def text(self) -> str:
        return "sha256:" + self._hash.hexdigest()


def _same(state: tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]) -> bool:
    replayed, live = state
    return replayed == live or _pending(replayed, live)


def _pending(replayed: Mapping[str, Any] | None, live: Mapping[str, Any] | None) -> bool:
    """Return whether it is an operation without any facts yet: there is nothing to replay."""
    return replayed is None and live is not None and live.get("status") == "received"


def _add(
    pair: Pair,
    state: tuple[Mapping[str, Any] | None, Mapping[str, Any] | None] | None,
    result: Comparison,
    replayed: _Digest,
    live: _Digest,
) -> None:
    """Add one item to ``result``; ``state`` is what it was found to be when it was settled."""
    if state is not None:
        if _pending(*state):
            result.pending += 1
            return
        pair = Pair(pair.item, *(None if view is None else digest(view) for view in state))
        found = [] if _same(state) else _field_differences(pair.item, *state)
        result.different += len(found)
        result.differences += found[: LISTED - len(result.differences)]
    replayed.add(pair.item, pair.replayed)
    live.add(pair.item, pair.live)
    if pair.live is not None:
        if pair.item[0] == "resource":
            result.resources += 1
        else:
            result.operations += 1


def _field_differences(
    item: Item, replayed: Mapping[str, Any] | None, live: Mapping[str, Any] | None
) -> list[FieldDifference]:
    kind, id_ = item
    if replayed is None or live is None:
        status = {"replayed": replayed, "live": live}
        there = {side: view and view.get("status") for side, view in status.items()}
        return [FieldDifference(kind=kind, id=id_, field="", **there)]
    return [
        FieldDifference(
            kind=kind, id=id_, field=name, replayed=replayed.get(name), live=live.get(name)
        )
        for name in sorted(replayed.keys() | live.keys())
        if replayed.get(name) != live.get(name)
    ]
