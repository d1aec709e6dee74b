"""``pipeline-bare``: the hops of the platform without the platform, each a process of its own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench import bare, servers
from bench.end_to_end import bursting
from bench.raw_loop import raw_loop
from bench.report import Row
from bench.run import Run, beside
from bench.stage import copy_in_cluster
from busbar.cli.local.kafka.jvm import ChildProcess
from busbar.runtime.kafka.topics import ensure_topics
from support.postgres_store import PASSWORD, SERVICE, StoreCluster


async def measure(run: Run) -> list[Row]:
    """It stores and publishes as many records as the platform, of about their size."""
    count = run.size(10_000, quick=500)
    async with servers.postgres(run, *bare.ROLES) as cluster, servers.kafka(run) as bootstrap:
        await ensure_topics(bootstrap)
        with _processes(bootstrap, cluster):
            async with (
                raw_loop(run, bootstrap) as limit,
                bursting(bootstrap, copy_in_cluster(cluster)) as bursts,
            ):
                await bursts.turn(run.size(1_000, quick=100))

                async def ours() -> float:
                    return await bursts.turn(count)

                return [
                    await beside(
                        run,
                        "pipeline-bare",
                        "intents/s",
                        ours=ours,
                        limit=limit.turn,
                        called="raw-loop",
                    )
                ]


@contextmanager
def _processes(bootstrap: str, cluster: StoreCluster) -> Iterator[None]:
    url = cluster.server.url("busbar", user=SERVICE, password=PASSWORD)
    running: list[ChildProcess] = []
    with servers.folder("bare") as logs:
        try:
            for role in bare.ROLES:
                command = (sys.executable, "-m", "bench.bare", role, bootstrap, url)
                running.append(ChildProcess(command, output=logs / f"{role}.log"))
            yield
        finally:
            for process in running:
                process.stop(timeout=5)
