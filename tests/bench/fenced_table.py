"""``fenced-event-table``: what durable, fenced sagas cost at the least, written by hand.

Four effects take five commits: what is to be done is stored before it is done, and its result in
one commit with what is to be done next (law 4). Each commit checks the lease by its epoch, extends
it and adds the events, all in one statement. Tasks are claimed in batches.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, Self

import asyncpg

from bench import rows, work
from busbar.kernel.ids import event_id
from busbar.messages.base import Message
from busbar.messages.resource import ResourceProvisioned, ResourceQueued, StepStarted, StepSucceeded
from busbar.runtime.store.sql.statements import EVENT_COLUMNS
from busbar.runtime.tasks.runner import CONCURRENCY
from support.postgres_store import StoreCluster

CONNECTIONS = 8
"""As the product has."""

EFFECTS = 4
KIND = "bare"
HOLDER = "bench"

_QUEUE = """INSERT INTO tasks (kind, name, due, data, revision, attempts, epoch)
SELECT $1, name, '', '{}', 1, 0, 0 FROM unnest($2::text[]) AS new (name)"""
_CLAIM = """UPDATE tasks SET epoch = epoch + 1, attempts = attempts + 1, holder = $2,
  expires = to_char(clock_timestamp() + interval '5 s', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
WHERE kind = $1 AND name IN (SELECT name FROM tasks WHERE kind = $1 AND due IS NOT NULL
  AND expires IS NULL ORDER BY due LIMIT $3 FOR UPDATE SKIP LOCKED)
RETURNING name, epoch"""
_COLUMNS = ", ".join(EVENT_COLUMNS)
_TYPES = ", ".join(
    f"${number}::{'int' if name == 'version' else 'text'}[]"
    for number, name in enumerate(EVENT_COLUMNS, start=6)
)
_RECORD = f"""WITH held AS (
  UPDATE tasks SET due = CASE WHEN $5 THEN NULL ELSE due END,
    holder = CASE WHEN $5 THEN NULL ELSE holder END,
    expires = CASE WHEN $5 THEN NULL ELSE
      to_char(clock_timestamp() + interval '5 s', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END
  WHERE kind = $1 AND name = $2 AND epoch = $3 AND holder = $4 RETURNING 1)
INSERT INTO events ({_COLUMNS}) SELECT new.* FROM held, unnest({_TYPES}) AS new"""  # noqa: S608 - our own names


class FencedTable:
    """Runs sagas on the tables of ``service``."""

    def __init__(self, cluster: StoreCluster, service: str) -> None:
        """Connect in :meth:`connected`."""
        self._url = cluster.url
        self._service = service
        self._turns = 0
        self._pool: Any = None

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Self]:
        """Have connections during the block."""
        settings = {"search_path": f"busbar_{self._service}"}
        async with asyncpg.create_pool(
            self._url, min_size=CONNECTIONS, max_size=CONNECTIONS, server_settings=settings
        ) as pool:
            self._pool = pool
            yield self

    async def turn(self, count: int) -> float:
        """Sagas a second, queued beforehand."""
        self._turns += 1
        names = [work.resource_of(number, f"bare-{self._turns}") for number in range(count)]
        await self._queue(names)
        begun = perf_counter()
        running: set[asyncio.Task[None]] = set()
        left = count
        while left or running:
            room = min(left, CONCURRENCY - len(running))
            for name, epoch in await self._claim(room) if room else ():
                running.add(asyncio.create_task(self._saga(name, epoch)))
                left -= 1
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        return count / (perf_counter() - begun)

    async def _queue(self, names: Sequence[str]) -> None:
        await self._pool.execute(_QUEUE, KIND, list(names))
        queued = [self._row(name, 1, ResourceQueued, ResourceQueued.EXAMPLES[0]) for name in names]
        await self._pool.execute(rows.POSTGRES_INSERT, *rows.columns(queued))

    async def _claim(self, room: int) -> list[tuple[str, int]]:
        found = await self._pool.fetch(_CLAIM, KIND, HOLDER, room)
        return [(row["name"], row["epoch"]) for row in found]

    async def _saga(self, name: str, epoch: int) -> None:
        version = 2
        await self._record(name, epoch, [(StepStarted, version)])
        for number in range(1, EFFECTS + 1):
            _act()
            last = number == EFFECTS
            follows: type[Message] = ResourceProvisioned if last else StepStarted
            version += 2
            await self._record(
                name, epoch, [(StepSucceeded, version - 1), (follows, version)], ends=last
            )

    async def _record(
        self,
        name: str,
        epoch: int,
        facts: Sequence[tuple[type[Message], int]],
        *,
        ends: bool = False,
    ) -> None:
        new = [
            self._row(name, version, model, {**model.EXAMPLES[0], "resource": name})
            for model, version in facts
        ]
        done = await self._pool.execute(
            _RECORD, KIND, name, epoch, HOLDER, ends, *rows.columns(new)
        )
        assert done == f"INSERT 0 {len(new)}", f"{name} is no longer ours"

    def _row(self, name: str, version: int, model: type[Message], data: Any) -> rows.Raw:
        return (
            f"resource/{name}",
            version,
            event_id(self._service, KIND, name, version),
            model.TYPE,
            rows.NOW,
            rows.NOW,
            name,
            name,
            model.TOPIC,
            name,
            json.dumps(data),
            json.dumps({"source": f"/busbar/{self._service}", "subject": name}),
        )


def _act() -> None:
    """The effect."""
