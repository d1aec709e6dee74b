"""Durable tasks: due work under a lease whose epoch grows with every claim."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, case, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.kernel.clock import format_time
from busbar.kernel.errors import Fenced
from busbar.runtime.store import tables
from busbar.runtime.store.rows import Claim, Written
from busbar.runtime.store.upsert import upsert


class Tasks:
    """Schedules, claims, extends and finishes tasks."""

    def __init__(self, connection: AsyncConnection, *, now: datetime, written: Written) -> None:
        """Act on ``connection``, inside its transaction."""
        self._connection = connection
        self._now = now
        self._written = written

    async def schedule(
        self, kind: str, name: str, *, due: datetime | None = None, data: Mapping[str, Any] = {}
    ) -> None:
        """Have the task run at ``due`` (now, if left out); a task that exists is moved there."""
        values = {"due": format_time(due or self._now), "data": json.dumps(dict(data))}
        statement = upsert(self._connection, tables.tasks).values(
            kind=kind, name=name, revision=1, attempts=0, epoch=0, **values
        )
        await self._connection.execute(
            statement.on_conflict_do_update(
                index_elements=["kind", "name"],
                set_={**values, "revision": tables.tasks.c.revision + 1, "attempts": 0},
            )
        )
        self._written.scheduled.add(kind)

    async def claim(
        self, kind: str, *, holder: str, lease: timedelta, limit: int
    ) -> Sequence[Claim]:
        """Take up to ``limit`` due tasks that nobody holds, for the length of ``lease``."""
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
                data=json.loads(row.data),
                revision=row.revision,
                attempts=row.attempts,
                epoch=row.epoch,
                holder=holder,
                lease=lease,
            )
            for row in sorted(rows, key=lambda row: (row.due, row.name))
        ]

    def due(self, kind: str) -> Select[tuple[str]]:
        """When the tasks of ``kind`` were due that could be claimed now, the longest ago first."""
        now, task = format_time(self._now), tables.tasks.c
        free = or_(task.expires.is_(None), task.expires <= now)
        return select(task.due).where(task.kind == kind, task.due <= now, free).order_by(task.due)

    async def next_due(self, kind: str) -> str | None:
        """When the next claim of a task of ``kind`` can succeed, as :func:`format_time` text."""
        task = tables.tasks.c
        claimable = case((task.expires > task.due, task.expires), else_=task.due)
        found = await self._connection.execute(
            select(func.min(claimable)).where(task.kind == kind, task.due.is_not(None))
        )
        value = found.scalar()
        return None if value is None else str(value)

    async def hold(self, claim: Claim) -> None:
        """Check that ``claim`` is still ours, and extend its lease from now.

        Raises:
            Fenced: another process claimed the task under a higher epoch.
        """
        expires = format_time(self._now + claim.lease)
        await self._fenced(update(tables.tasks).values(expires=expires), claim)

    async def finish(self, claim: Claim, *, again: datetime | None = None) -> None:
        """Release ``claim``; the task runs again at ``again``, or when it was scheduled meanwhile.

        Raises:
            Fenced: another process claimed the task under a higher epoch.
        """
        task = tables.tasks.c
        due = format_time(again) if again else None
        await self._fenced(
            update(tables.tasks)
            .values(holder=None, expires=None)
            .values(
                due=_case_revision(task, claim.revision, due),
                attempts=0 if again is None else task.attempts,
            ),
            claim,
        )
        self._written.scheduled.add(claim.kind)

    async def remove(self, claim: Claim) -> None:
        """Finish ``claim`` for good: nothing of the task is kept, its epoch included.

        A task that was scheduled anew meanwhile is kept, and runs again.

        Raises:
            Fenced: another process claimed the task under a higher epoch.
        """
        unchanged = tables.tasks.c.revision == claim.revision
        if not await self._if_held(delete(tables.tasks).where(unchanged), claim):
            await self.finish(claim)

    async def _fenced(self, statement: Any, claim: Claim) -> None:
        if not await self._if_held(statement, claim):
            raise Fenced(f"{claim.kind} {claim.name}: epoch {claim.epoch} is no longer ours")

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


def _case_revision(task: Any, revision: int, due: str | None) -> Any:
    """``due`` unless the task was scheduled anew since it was claimed."""
    return case((task.revision == revision, due), else_=task.due)
