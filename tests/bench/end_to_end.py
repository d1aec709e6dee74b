"""``end-to-end-*``: intents decided, provisioned by ``noop``, notified and audited by processes."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import perf_counter

from aiokafka import AIOKafkaProducer

from bench import work
from bench.raw_loop import raw_loop
from bench.report import Row
from bench.run import Run, beside
from bench.stage import AuditCopy, On, Watcher, audited, stage
from busbar.messages.resource import ResourceProvisioned
from busbar.messages.signing import SigningKey


async def measure_postgres(run: Run) -> list[Row]:
    """Every service once, on PostgreSQL."""
    return await _measure(run, "postgres")


async def measure_sqlite(run: Run) -> list[Row]:
    """Every service once, a file each."""
    return await _measure(run, "sqlite")


async def measure_signed(run: Run) -> list[Row]:
    """Signed intents beside unsigned ones, on one platform on SQLite that takes both.

    Producers sign before a turn begins: what is measured is what signatures cost the platform.
    """
    count = run.size(3_000, quick=300)
    key = SigningKey.generate()
    async with (
        stage(run, "sqlite", signer=key) as platform,
        bursting(platform.bootstrap, platform.audit_copy()) as bursts,
    ):
        await platform.knows(key)
        for signer in (key, None):
            await bursts.turn(run.size(500, quick=100), signer=signer)

        async def ours() -> float:
            async with platform.own_side():
                return await bursts.turn(count, signer=key)

        async def unsigned() -> float:
            return await bursts.turn(count)

        name = "end-to-end-signed"
        return [await beside(run, name, "intents/s", ours=ours, limit=unsigned, called="unsigned")]


async def _measure(run: Run, on: On) -> list[Row]:
    count = run.size(3_000, quick=300)
    async with (
        stage(run, on) as platform,
        raw_loop(run, platform.bootstrap) as limit,
        bursting(platform.bootstrap, platform.audit_copy()) as bursts,
    ):
        await bursts.turn(run.size(500, quick=100))

        async def ours() -> float:
            async with platform.own_side():
                return await bursts.turn(count)

        return [
            await beside(
                run,
                f"end-to-end-{on}",
                "intents/s",
                ours=ours,
                limit=limit.turn,
                called="raw-loop",
            )
        ]


class Bursts:
    """Intents that come in one burst."""

    def __init__(
        self,
        copy: AuditCopy,
        producer: AIOKafkaProducer,
        watcher: Watcher,
        *,
        before: int,
        teams: int,
    ) -> None:
        """Use :func:`bursting`."""
        self._copy = copy
        self._producer = producer
        self._watcher = watcher
        self._teams = teams
        self._label = f"burst-{secrets.token_hex(3)}"  # unique: these intents are new
        self._turns = 0
        self._asked = 0
        self._before = before

    async def turn(self, count: int, *, signer: SigningKey | None = None) -> float:
        """Intents a second, from the first that is sent until the last fact is audited."""
        self._turns += 1
        records = work.intents(count, f"{self._label}-{self._turns}", teams=self._teams)
        if signer is not None:
            records = [work.signed(record, signer) for record in records]
        self._asked += count
        begun = perf_counter()
        await work.publish(self._producer, records)
        await self._watcher.until(self._asked)
        await audited(self._copy, self._watcher)
        rate = count / (perf_counter() - begun)
        kept = await self._copy.count(ResourceProvisioned.TYPE) - self._before
        assert kept == self._asked, f"audit has {kept} of {self._asked}"
        return rate


@asynccontextmanager
async def bursting(
    bootstrap: str, audit: AbstractAsyncContextManager[AuditCopy], *, teams: int = work.TEAMS
) -> AsyncIterator[Bursts]:
    """One idempotent producer, and a consumer that watches the results."""
    async with (
        work.producing(bootstrap) as producer,
        Watcher(bootstrap).watching() as watcher,
        audit as copy,
    ):
        before = await copy.count(ResourceProvisioned.TYPE)
        yield Bursts(copy, producer, watcher, before=before, teams=teams)
