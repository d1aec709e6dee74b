"""Replaying a store through its API: the one place that says how.

``python -m bench.replaying DATABASE`` replays policy's store there, and prints how many events it
has and the peak of memory in MB.
"""

import asyncio
import json
import sys
from pathlib import Path

import uvloop

from bench.peak import peak
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.store import Store, open_store

PAGE = 1000
"""As audit reads its copy."""


async def replay(store: Store) -> int:
    """Read every event of ``store`` in commit order and parse its data; how many there were."""
    count = after = 0
    while page := await store.events(after=after, limit=PAGE):
        for event in page:
            json.loads(event.data)
        count += len(page)
        after = page[-1].position
    return count


async def main(database: str) -> None:
    """Replay, and print the memory that it took."""
    store = await open_store(Path(), service="policy", clock=SystemClock(), database_url=database)
    try:
        count = await replay(store)
    finally:
        await store.close()
    sys.stdout.write(f"{count} {peak():.1f}\n")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1]))
