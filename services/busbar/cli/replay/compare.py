"""Compares the replayed state with the live one, while the platform keeps running."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from busbar.cli.replay.scratch import Counts, Item, Kind, ScratchState
from busbar.kernel.canonical import digest
from busbar.messages.views import OperationView, ResourceView
from busbar.sdk import Client, GatewayProblem

MAX_CHECKS = 3
"""How often an item is compared again before it counts as different."""

_RECHECK_SECONDS = 0.5
_NOT_FOUND = 404

Progress = Callable[[str], None]


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
    """The result. The digests are over the digests of all items."""

    resources: int = 0
    operations: int = 0
    pending: int = 0
    replayed_digest: str = ""
    live_digest: str = ""
    differences: list[FieldDifference] = field(default_factory=list)

    @property
    def identical(self) -> bool:
        """True if both states are the same."""
        return self.replayed_digest == self.live_digest


class Replay:
    """Reads the audit log, rebuilds the state in a store, and compares."""

    def __init__(
        self,
        client: Client,
        scratch: ScratchState,
        *,
        pause: Callable[[float], Awaitable[None]],
        progress: Progress,
    ) -> None:
        self._client = client
        self._scratch = scratch
        self._pause = pause
        self._progress = progress
        self._cursor: str | None = None

    @property
    def counts(self) -> Counts:
        """The number of records read so far."""
        return self._scratch.counts

    async def run(self) -> Comparison:
        """Replay the whole log and compare; items that changed meanwhile are compared again."""
        await self._read_new_records()
        live = {item: digest(view) async for item, view in self._live()}
        replayed = {item: digest(view) async for item, view in self._scratch.views()}
        mismatches = {
            item for item in live.keys() | replayed.keys() if live.get(item) != replayed.get(item)
        }
        states: dict[Item, tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]] = {}
        for attempt in range(MAX_CHECKS):
            if not mismatches:
                break
            if attempt:
                await self._pause(_RECHECK_SECONDS)
            self._progress(f"comparing {len(mismatches)} changed items again")
            states = {item: (None, await self._live_view(item)) for item in mismatches}
            # The log is read after the live state, so that it explains all of that state.
            await self._read_new_records()
            for item in mismatches:
                states[item] = (await self._scratch.view(item), states[item][1])
            mismatches = {item for item in mismatches if not _same(states[item])}
            for item, (old, new) in states.items():
                _set_digest(replayed, item, old)
                _set_digest(live, item, new)
        return _result(live, replayed, {item: states[item] for item in mismatches})

    async def _read_new_records(self) -> None:
        """Fold the records that were logged since the last call."""
        while True:
            page = await self._client.audit_page(after=self._cursor)
            if not page.items:
                return
            self._cursor = page.cursor
            await self._scratch.fold(page.items)
            self._progress(f"{self.counts.records} records read")

    async def _live(self) -> Any:
        async for resource in self._client.resources():
            yield ("resource", resource.id), resource.model_dump(mode="json")
        async for operation in self._client.operations():
            yield ("operation", operation.id), operation.model_dump(mode="json")

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


def _same(state: tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]) -> bool:
    replayed, live = state
    return replayed == live or _pending(replayed, live)


def _pending(replayed: Mapping[str, Any] | None, live: Mapping[str, Any] | None) -> bool:
    """Return whether it is an operation without any facts yet: there is nothing to replay."""
    return replayed is None and live is not None and live.get("status") == "received"


def _set_digest(digests: dict[Item, str], item: Item, view: Mapping[str, Any] | None) -> None:
    if view is None:
        digests.pop(item, None)
    else:
        digests[item] = digest(view)


def _result(
    live: dict[Item, str],
    replayed: dict[Item, str],
    different: Mapping[Item, tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]],
) -> Comparison:
    pending = live.keys() - replayed.keys() - different.keys()
    compared = {item: value for item, value in live.items() if item not in pending}
    return Comparison(
        resources=sum(kind == "resource" for kind, _ in compared),
        operations=sum(kind == "operation" for kind, _ in compared),
        pending=len(pending),
        replayed_digest=_combined_digest(replayed),
        live_digest=_combined_digest(compared),
        differences=[
            difference
            for item in sorted(different)
            for difference in _field_differences(item, *different[item])
        ],
    )


def _combined_digest(digests: Mapping[Item, str]) -> str:
    return digest(sorted([kind, id_, value] for (kind, id_), value in digests.items()))


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
