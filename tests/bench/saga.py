"""``saga-bare``: four-step sagas by the provisioner's own worker, beside a bare fenced table."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from bench import servers, work
from bench.fenced_table import FencedTable
from bench.report import Row
from bench.run import Run, beside
from busbar.backends.port import Backend, Environment
from busbar.messages.plan import Plan, PlanStep
from busbar.messages.resource import ResourceQueued
from busbar.provisioner.handlers import SAGA, Provisioner
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.store import Cause, Store, StoreTransaction, open_store
from busbar.runtime.tasks.runner import TaskRunner, Work, Worker
from busbar.testing.noop import NoopBackend
from support.personal import no_personal_data
from support.postgres_store import StoreCluster
from support.runtime import (
    running,
)

SERVICE = "provisioner"
STEPS = ("one", "two", "three", "four")
LEASE = 5.0
PATIENCE = 600.0
PLAN = Plan(
    steps=tuple(
        PlanStep(
            name=name,
            adapter="noop",
            inputs={"name": "${resource.team}.${resource.name}", "size": "${spec.size}"},
        )
        for name in STEPS
    ),
    outputs={"name": "${steps.four.name}"},
)


async def measure(run: Run) -> list[Row]:
    """Both run on the same table of the same cluster."""
    count = run.size(500, quick=50)
    async with servers.postgres(run, SERVICE) as cluster, _store(cluster) as store:
        sagas = _Sagas(run, store)
        async with FencedTable(cluster, SERVICE).connected() as table:
            await table.turn(32)
            await sagas.turn(32)

            async def limit() -> float:
                return await table.turn(count)

            async def ours() -> float:
                return await sagas.turn(count)

            return [
                await beside(
                    run,
                    "saga-bare",
                    "sagas/s",
                    ours=ours,
                    limit=limit,
                    called="fenced-event-table",
                )
            ]


@asynccontextmanager
async def _store(cluster: StoreCluster) -> AsyncIterator[Store]:
    store = await open_store(Path(), service=SERVICE, clock=SystemClock(), database_url=cluster.url)
    try:
        yield store
    finally:
        await store.close()


class _Adapters:
    """The one adapter that makes nothing."""

    def __init__(self) -> None:
        async def secret(_reference: str, _team: str | None = None, /) -> None:
            return None

        self._noop: Backend = NoopBackend(Environment(kafka_bootstrap="", secret=secret))

    def find(self, _name: str) -> Backend | None:
        return self._noop


class _Sagas:
    def __init__(self, run: Run, store: Store) -> None:
        self._run = run
        self._store = store
        self._turns = 0
        self._left = 0
        self._done = asyncio.Event()

    async def turn(self, count: int) -> float:
        """Sagas a second, queued beforehand."""
        self._turns += 1
        await self._queue(count)
        clock = SystemClock()
        service = Provisioner(_Adapters(), no_personal_data(), clock=clock, lease=LEASE).service()
        job = service.jobs[SAGA]
        counted = replace(job, worker=self._counted(job.worker))
        runner = TaskRunner(SAGA, counted, self._store, clock=clock, holder="bench", lease=LEASE)
        self._left = count
        self._done.clear()
        begun = perf_counter()
        async with self._run.own_side(), running(runner.run()):
            async with asyncio.timeout(PATIENCE):
                await self._done.wait()
            return count / (perf_counter() - begun)

    async def _queue(self, count: int) -> None:
        async def body(tx: StoreTransaction) -> None:
            for number in range(count):
                label = f"saga-{self._turns}"
                resource = work.resource_of(number, label)
                queued = ResourceQueued.model_validate(
                    {
                        **ResourceQueued.EXAMPLES[0],
                        "operation": work.operation_of(number, label),
                        "resource": resource,
                        "spec": {"size": number},
                        "plan": PLAN,
                    }
                )
                tx.caused_by(Cause(work.SOURCE, f"{label}-{number}", queued.correlation))
                await tx.append(f"resource/{resource}", [queued], key=resource)
                await tx.tasks.schedule(SAGA, resource)

        await self._store.transact(body)

    def _counted(self, worker: Worker) -> Worker:
        async def counted(work: Work) -> None:
            await worker(work)
            self._left -= 1
            if not self._left:
                self._done.set()

        return counted
