"""``replay-100k``, ``why-of-10000`` and ``audit-memory``: questions about a long past.

The histories are written into the stores beforehand (``support.history``), as the services would
have; then real processes answer over HTTP.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

from pydantic import SecretStr

from bench import servers, work
from bench.peak import peak
from bench.report import Row
from bench.run import Run
from bench.stage import platform
from busbar.cli.local import Platform
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.kafka.topics import ensure_topics
from busbar.runtime.store import open_store
from busbar.sdk import Client
from support.history import (
    Copying,
    History,
    blocks,
    fill_audit,
    fill_gateway,
    insert,
    mark_consumed,
    operation_of,
    resource_of,
    writing,
)

RESOURCES = 10
GENERATIONS = 2000
"""Of five facts each: 10,000 facts of every resource, 100,000 in all."""
MANY_RECORDS = 1_000_000
PER_OPERATION = 6


async def measure(run: Run) -> list[Row]:
    """A few resources with long histories, behind a gateway and audit."""
    history = History(RESOURCES, run.size(GENERATIONS, quick=100))
    async with _running(run, history, ("audit", "gateway")) as (found, home):
        replayed = await _replay(run, found, home, history)
        explained = await _why(run, found, history)
    return [
        Row(name="replay-100k", value=replayed, unit="s"),
        Row(name="why-of-10000", value=explained, unit="s"),
    ]


@asynccontextmanager
async def _running(
    run: Run, history: History, services: Collection[str]
) -> AsyncIterator[tuple[Platform, Path]]:
    with servers.folder("past") as home:
        stores = home / "busbar"
        for service in services:
            await _make(stores / f"{service}.db", service)
        run.say(f"  writing a history of {history.facts:,} facts")
        fill_audit(stores / "audit.db", history)
        fill_gateway(stores / "gateway.db", history)
        async with (
            servers.kafka(run) as bootstrap,
            platform(run, home, bootstrap, None, services=services) as stage,
        ):
            yield stage.platform, home


async def _make(path: Path, service: str) -> None:
    store = await open_store(path, service=service, clock=SystemClock())
    await store.close()


async def _replay(run: Run, found: Platform, home: Path, history: History) -> float:
    """The seconds that the command takes, its own start included."""
    place = home / "peak"
    arguments = ["--url", found.url, "--token-file", str(found.token_file), "replay", "-o", "json"]
    begun = perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.peak", str(place), *arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    took = perf_counter() - begun
    report = json.loads(said)
    assert report["identical"], "the replay gives another state"
    assert report["facts"] >= history.facts, "the replay is not complete"
    run.say(f"  busbar replay took {took:.1f} s and {place.read_text()} MB")
    return took


async def _why(run: Run, found: Platform, history: History) -> float:
    """The seconds until the last operation is explained, by its id and by its resource."""
    resource, operation = resource_of(0), operation_of(0, history.generations)
    token = SecretStr(found.token_file.read_text(encoding="utf-8").strip())
    by_id: list[float] = []
    by_resource: list[float] = []
    async with Client(found.url, token) as client:
        for _ in range(run.rounds):
            begun = perf_counter()
            sentences = [one async for one in client.why(operation)]
            by_id.append(perf_counter() - begun)
            again = [one async for one in client.why(resource, last=1)]
            by_resource.append(perf_counter() - begun - by_id[-1])
            assert len(sentences) == PER_OPERATION, "the explanation is not complete"
            assert again == sentences, "another operation was explained"
    by = {"operation": median(by_id), "resource": median(by_resource)}
    for name, seconds in by.items():
        run.say(f"  explaining the last operation by the id of its {name} takes {seconds:.3f} s")
    return max(by.values())


async def measure_memory(run: Run) -> list[Row]:
    """The peak of audit's memory while it answers everything about many records, one at a time."""
    count = run.size(MANY_RECORDS, quick=30_000)
    history = History(12, count // PER_OPERATION // 12)
    with servers.folder("past") as home:
        stores = home / "busbar"
        await _make(stores / "audit.db", "audit")
        async with servers.kafka(run) as bootstrap:
            await ensure_topics(bootstrap)
            run.say(f"  publishing and copying {history.size:,} records")
            await _publish(bootstrap, stores / "audit.db", history)
            async with platform(run, home, bootstrap, None, services=("audit",)) as stage:
                return [await _answering(run, stage.platform, history)]


async def _publish(bootstrap: str, copy: Path, history: History) -> None:
    """Publish the records where the copy of them says that they are."""
    copying = Copying()
    async with work.producing(bootstrap) as producer:
        with writing(copy) as session:
            for block in blocks(history.records()):
                pending = [
                    await producer.send(
                        record.topic,
                        record.value,
                        key=record.key,
                        partition=record.partition,
                        headers=list(record.headers),
                    )
                    for record, _ in block
                ]
                insert(session, [copying.row(*one) for one in block])
                for record, answer in zip(block, pending, strict=True):
                    assert (await answer).offset == record[0].offset, "Kafka has other offsets"
            mark_consumed(session, copying.ends)


async def _answering(run: Run, found: Platform, history: History) -> Row:
    pid = found.pids["audit"]
    assert pid is not None
    run.say(f"  audit takes {peak(pid):.0f} MB at first")
    url = f"http://127.0.0.1:{found.readiness()['audit'].port}"
    async with Client(url, SecretStr("none")) as client:
        begun = perf_counter()
        report = await client.completeness()
        assert report.complete, report.problems
        assert report.compared == history.size, "not every record was compared"
        begun = _say(run, "the check", pid, begun)
        states = [view async for view in client.state_at(SystemClock().now())]
        assert len(states) == history.resources
        begun = _say(run, "the state", pid, begun)
        sentences = 0
        async for _ in client.why(resource_of(0)):
            sentences += 1
        assert sentences == history.generations * PER_OPERATION
        begun = _say(run, "the explanation of a resource", pid, begun)
        cursor, records = None, 0
        while (page := await client.audit_page(after=cursor, limit=1000)).items:
            cursor, records = page.cursor, records + len(page.items)
        assert records == history.size
        _say(run, "all records", pid, begun)
    return Row(name="audit-memory", value=peak(pid), unit="MB")


def _say(run: Run, what: str, pid: int, begun: float) -> float:
    now = perf_counter()
    run.say(f"  {what} took {now - begun:.0f} s; audit takes {peak(pid):.0f} MB at most")
    return now
