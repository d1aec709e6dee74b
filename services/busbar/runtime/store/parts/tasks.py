"""Durable tasks: due work under a lease whose epoch grows with every claim."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.kernel.clock import format_time
from busbar.kernel.errors import Fenced
from busbar.runtime.store.model.commit_result import CommitResult
from busbar.runtime.store.model.eager_claim import ClaimTarget, EagerClaim
from busbar.runtime.store.model.json import dumps, loads
from busbar.runtime.store.model.rows import Claim
from busbar.runtime.store.parts import log
from busbar.runtime.store.schema import tables
from busbar.runtime.store.sql.statements import Release, ScheduleRow, Statements

_TaskKey = tuple[str, str]
"""Kind and name of a task."""


class _Scheduled(NamedTuple):
    """A task to schedule; ``due_now`` if it was scheduled without a time."""

    due: str
    data: str
    due_now: bool


class _Offer(NamedTuple):
    """A slot that a target has reserved for a task, and when it was reserved."""

    target: ClaimTarget
    asked: datetime


class Tasks:
    """The durable tasks of a service, in one transaction."""

    def __init__(
        self,
        connection: AsyncConnection,
        statements: Statements,
        *,
        now: datetime,
        written: CommitResult,
        claim_targets: Mapping[str, ClaimTarget],
    ) -> None:
        """Work on ``connection``, inside its transaction, for the local ``claim_targets``."""
        self._connection = connection
        self._statements = statements
        self._now = now
        self._written = written
        self._claim_targets = claim_targets
        self._offers: dict[_TaskKey, _Offer] = {}
        self._preloaded: dict[_TaskKey, Any] = {}
        self._scheduled: dict[_TaskKey, _Scheduled] = {}
        self._released: dict[_TaskKey, Release] = {}

    async def schedule(
        self, kind: str, name: str, *, due: datetime | None = None, data: Mapping[str, Any] = {}
    ) -> None:
        """Run the task at ``due`` (default: now); an existing task is moved there."""
        at = format_time(due or self._now)
        self._scheduled[kind, name] = _Scheduled(at, dumps(dict(data)), due is None)

    async def offer_to_targets(self, tx: Any) -> None:
        """Offer tasks that are due now to local runners, up to the free slots of each.

        The starting state of the tasks is read in ``tx``, the transaction of this object.
        """
        for kind, target in self._claim_targets.items():
            keys = [key for key, one in self._scheduled.items() if key[0] == kind and one.due_now]
            if not keys:
                continue
            room, asked = target.reserve(len(keys))
            offered = keys[:room]
            self._offers |= {key: _Offer(target, asked) for key in offered}
            if offered and target.preload is not None:
                preloaded = await target.preload([name for _, name in offered], tx)
                self._preloaded |= {(kind, name): found for name, found in preloaded.items()}

    async def claim(
        self, kind: str, *, holder: str, lease: timedelta, limit: int, own: bool = False
    ) -> Sequence[Claim]:
        """Claim up to ``limit`` due tasks that are not held, for the length of ``lease``.

        With ``own``, also those that ``holder`` holds already: it does not know if the answer to an
        earlier claim was lost.
        """
        await self.flush()
        now, task = format_time(self._now), tables.tasks.c
        free = or_(task.expires.is_(None), task.expires <= now)
        if own:
            free = or_(free, task.holder == holder)
        due = (
            select(task.name)
            .where(task.kind == kind, task.due <= now, free)
            .order_by(task.due)
            .limit(limit)
            .with_for_update(skip_locked=True)  # omitted on SQLite, where writers take turns
            .cte("ready")
        )
        rows = await self._connection.execute(
            update(tables.tasks)
            .where(task.kind == kind, task.name.in_(select(due.c.name)), free)
            .values(
                epoch=task.epoch + 1,
                attempts=task.attempts + 1,
                holder=holder,
                expires=format_time(self._now + lease),
            )
            .returning(tables.tasks)
        )
        return [
            Claim(
                kind=row.kind,
                name=row.name,
                data=loads(row.data),
                revision=row.revision,
                attempts=row.attempts,
                epoch=row.epoch,
                holder=holder,
                lease=lease,
            )
            for row in sorted(rows, key=lambda row: (row.due, row.name))
        ]

    async def overdue(self, kind: str, *, limit: int) -> tuple[int, str | None]:
        """Count the tasks of ``kind`` that could be claimed now, up to ``limit``.

        Returns the count and the oldest due time.
        """
        now, task = format_time(self._now), tables.tasks.c
        free = or_(task.expires.is_(None), task.expires <= now)
        due = select(task.due).where(task.kind == kind, task.due <= now, free).order_by(task.due)
        oldest: str | None = (await self._connection.execute(due.limit(1))).scalar()
        return await log.count(self._connection, due.limit(limit)), oldest

    async def waiting(self, kind: str, *, limit: int) -> int:
        """Count the tasks of ``kind`` that are due later, up to ``limit``."""
        now, task = format_time(self._now), tables.tasks.c
        later = select(task.due).where(task.kind == kind, task.due > now)
        return await log.count(self._connection, later.limit(limit))

    async def next_due(self, kind: str) -> str | None:
        """Return when the next claim of a task of ``kind`` can succeed (:func:`format_time`)."""
        await self.flush()
        return await self._statements.next_due(self._connection, kind)

    async def hold(self, claim: Claim) -> None:
        """Check that ``claim`` is still held, and extend its lease from now.

        Raises:
            Fenced: another process claimed the task under a higher epoch.
        """
        if not await self.held([claim]):
            raise fenced(claim)

    async def held(self, claims: Collection[Claim]) -> list[Claim]:
        """Extend the leases of ``claims`` from now; return the claims that are still held."""
        await self.flush()
        still_held: list[Claim] = []
        for lease in sorted({claim.lease for claim in claims}):
            alike = [claim for claim in claims if claim.lease == lease]
            expires = format_time(self._now + lease)
            held = await self._statements.hold(self._connection, alike, expires)
            still_held += [claim for claim in alike if claim.identity in held]
        return still_held

    async def finish(self, claim: Claim, *, again: datetime | None = None) -> None:
        """Release ``claim``; the task runs again at ``again``, or once it is scheduled next.

        A task that was rescheduled meanwhile keeps its new time. The release is buffered:
        :meth:`flush` writes it, and raises if the claim is lost.
        """
        self._released[claim.kind, claim.name] = Release(
            kind=claim.kind,
            name=claim.name,
            epoch=claim.epoch,
            holder=claim.holder,
            revision=claim.revision,
            again=format_time(again) if again else None,
        )

    async def remove(self, claim: Claim) -> None:
        """Finish ``claim`` and delete the task, its epoch included.

        A task that was rescheduled meanwhile is kept, and runs again.

        Raises:
            Fenced: another process claimed the task under a higher epoch.
        """
        await self.flush()
        unchanged = tables.tasks.c.revision == claim.revision
        if not await self._if_held(delete(tables.tasks).where(unchanged), claim):
            await self.finish(claim)

    async def flush(self) -> None:
        """Write what is buffered, in the order of names.

        Raises:
            Fenced: another process claimed a task that is to be finished.
        """
        released, self._released = self._released, {}
        if released:
            releases = [released[key] for key in sorted(released)]
            left = await self._statements.release(self._connection, releases)
            if len(left) != len(releases):
                raise fenced(*releases)
            self._written.scheduled.update(kind for kind, due in left if due is not None)
        scheduled, self._scheduled = self._scheduled, {}
        offers, self._offers = self._offers, {}
        if scheduled:
            await self._schedule(scheduled, offers)

    async def _schedule(
        self, scheduled: Mapping[_TaskKey, _Scheduled], offers: Mapping[_TaskKey, _Offer]
    ) -> None:
        """Write scheduled tasks; those that are offered and not held are leased to their target."""
        rows: list[ScheduleRow] = []
        for key in sorted(scheduled):
            one, target = scheduled[key], offers[key].target if key in offers else None
            expires = format_time(self._now + target.lease) if target else None
            holder = target.holder if target else None
            rows.append(ScheduleRow(*key, one.due, one.data, holder, expires))
        claimed = await self._statements.schedule(self._connection, rows)
        self._written.scheduled.update(row.kind for row in rows if row[:2] not in claimed)
        for key, offer in offers.items():
            preloaded = self._preloaded.pop(key, None)
            if key not in claimed:
                offer.target.release()
                continue
            revision, epoch = claimed[key]
            claim = Claim(
                kind=key[0],
                name=key[1],
                data=loads(scheduled[key].data),
                revision=revision,
                attempts=1,
                epoch=epoch,
                holder=offer.target.holder,
                lease=offer.target.lease,
            )
            self._written.claimed.append(EagerClaim(claim, preloaded, offer.asked, offer.target))

    def roll_back(self) -> None:
        """Discard what is buffered and release the reserved slots."""
        self._released.clear()
        self._scheduled.clear()
        for offer in self._offers.values():
            offer.target.release()
        self._offers.clear()
        self._preloaded.clear()

    async def _if_held(self, statement: Any, claim: Claim) -> bool:
        task = tables.tasks.c
        done = await self._connection.execute(
            statement.where(
                task.kind == claim.kind,
                task.name == claim.name,
                task.epoch == claim.epoch,
                task.holder == claim.holder,
            )
        )
        return bool(done.rowcount == 1)


def fenced(*claims: Claim | Release) -> Fenced:
    """Return the error for ``claims`` that another process holds now under a higher epoch."""
    names = ", ".join(f"{claim.kind} {claim.name}: epoch {claim.epoch}" for claim in claims)
    return Fenced(f"claimed by another process: {names}")
