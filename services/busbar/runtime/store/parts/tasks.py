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

_Place = tuple[str, str]
"""Kind and name of a task."""


class _Scheduled(NamedTuple):
    """A task that is to be scheduled; ``due_now`` are those that are due now."""

    due: str
    data: str
    due_now: bool


class _Offer(NamedTuple):
    """A slot that a target has reserved for a task, and since when."""

    target: ClaimTarget
    asked: datetime


class Tasks:
    """Schedules, claims, extends and finishes tasks."""

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
        self._offers: dict[_Place, _Offer] = {}
        self._preloaded: dict[_Place, Any] = {}
        self._scheduled: dict[_Place, _Scheduled] = {}
        self._released: dict[_Place, Release] = {}

    async def schedule(
        self, kind: str, name: str, *, due: datetime | None = None, data: Mapping[str, Any] = {}
    ) -> None:
        """Have the task run at ``due`` (now, if left out); a task that exists is moved there."""
        at = format_time(due or self._now)
        self._scheduled[kind, name] = _Scheduled(at, dumps(dict(data)), due is None)

    async def offer_to_targets(self, tx: Any) -> None:
        """Have whoever works on them here take what is due at once, for as many as it has room.

        What they begin with is read in ``tx``, this transaction.
        """
        for kind, target in self._claim_targets.items():
            places = [
                place for place, one in self._scheduled.items() if place[0] == kind and one.due_now
            ]
            if not places:
                continue
            room, asked = target.reserve(len(places))
            offered = places[:room]
            self._offers |= {place: _Offer(target, asked) for place in offered}
            if offered and target.preload is not None:
                preloaded = await target.preload([name for _, name in offered], tx)
                self._preloaded |= {(kind, name): found for name, found in preloaded.items()}

    async def claim(
        self, kind: str, *, holder: str, lease: timedelta, limit: int
    ) -> Sequence[Claim]:
        """Take up to ``limit`` due tasks that nobody holds, for the length of ``lease``."""
        await self.flush()
        now, task = format_time(self._now), tables.tasks.c
        free = or_(task.expires.is_(None), task.expires <= now)
        due = (
            select(task.name)
            .where(task.kind == kind, task.due <= now, free)
            .order_by(task.due)
            .limit(limit)
            .with_for_update(skip_locked=True)  # nothing on SQLite, where writers take turns
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

    async def next_due(self, kind: str) -> str | None:
        """When the next claim of a task of ``kind`` can succeed, as :func:`format_time` text."""
        await self.flush()
        return await self._statements.next_due(self._connection, kind)

    async def hold(self, claim: Claim) -> None:
        """Check that ``claim`` is still ours, and extend its lease from now.

        Raises:
            Fenced: another process claimed the task under a higher epoch.
        """
        if not await self.held([claim]):
            raise fenced(claim)

    async def held(self, claims: Collection[Claim]) -> list[Claim]:
        """Those of ``claims`` that are still ours; their leases are extended from now."""
        await self.flush()
        ours: list[Claim] = []
        for lease in sorted({claim.lease for claim in claims}):
            alike = [claim for claim in claims if claim.lease == lease]
            expires = format_time(self._now + lease)
            held = await self._statements.hold(self._connection, alike, expires)
            ours += [claim for claim in alike if claim.identity in held]
        return ours

    async def finish(self, claim: Claim, *, again: datetime | None = None) -> None:
        """Release ``claim``; the task runs again at ``again``, or when it was scheduled meanwhile.

        It is written with everything else, and :meth:`flush` raises what is wrong with it.
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
        """Finish ``claim`` for good: nothing of the task is kept, its epoch included.

        A task that was scheduled anew meanwhile is kept, and runs again.

        Raises:
            Fenced: another process claimed the task under a higher epoch.
        """
        await self.flush()
        unchanged = tables.tasks.c.revision == claim.revision
        if not await self._if_held(delete(tables.tasks).where(unchanged), claim):
            await self.finish(claim)

    async def flush(self) -> None:
        """Write what has been kept back, in the order of names.

        Raises:
            Fenced: a task that is finished was claimed by another process.
        """
        released, self._released = self._released, {}
        if released:
            releases = [released[place] for place in sorted(released)]
            left = await self._statements.release(self._connection, releases)
            if len(left) != len(releases):
                raise fenced(*releases)
            self._written.scheduled.update(kind for kind, due in left if due is not None)
        scheduled, self._scheduled = self._scheduled, {}
        offers, self._offers = self._offers, {}
        if scheduled:
            await self._schedule(scheduled, offers)

    async def _schedule(
        self, scheduled: Mapping[_Place, _Scheduled], offers: Mapping[_Place, _Offer]
    ) -> None:
        """Write what is scheduled, with the leases of those who take it if nobody holds it."""
        rows: list[ScheduleRow] = []
        for place in sorted(scheduled):
            one, target = scheduled[place], offers[place].target if place in offers else None
            expires = format_time(self._now + target.lease) if target else None
            holder = target.holder if target else None
            rows.append(ScheduleRow(*place, one.due, one.data, holder, expires))
        taken = await self._statements.schedule(self._connection, rows)
        self._written.scheduled.update(row.kind for row in rows if row[:2] not in taken)
        for place, offer in offers.items():
            preloaded = self._preloaded.pop(place, None)
            if place not in taken:
                offer.target.release()
                continue
            revision, epoch = taken[place]
            claim = Claim(
                kind=place[0],
                name=place[1],
                data=loads(scheduled[place].data),
                revision=revision,
                attempts=1,
                epoch=epoch,
                holder=offer.target.holder,
                lease=offer.target.lease,
            )
            self._written.claimed.append(EagerClaim(claim, preloaded, offer.asked, offer.target))

    def roll_back(self) -> None:
        """Forget what has been kept back."""
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
    """What is raised for ``claims``, which another process holds now under a higher epoch."""
    names = ", ".join(f"{claim.kind} {claim.name}: epoch {claim.epoch}" for claim in claims)
    return Fenced(f"no longer ours: {names}")
