"""Replaying a store through its API: the one place that says how."""

import json

from busbar.runtime.store import Store

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
