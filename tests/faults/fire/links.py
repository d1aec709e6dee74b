"""Links that break and answers that never come, through a proxy of our own."""

from faults.fire.run import Fault, Scene
from support import eventually

CHANGES = (b"CREATE ROLE", b"CREATE DATABASE", b"ALTER ROLE", b"DROP DATABASE", b"DROP ROLE")
"""What the PostgreSQL backend changes the world with; each is a message of its own."""


def changes(data: bytes) -> bool:
    """Return whether ``data`` is a simple query (message ``Q``) that changes the world.

    https://www.postgresql.org/docs/current/protocol-message-formats.html
    """
    return data.startswith(b"Q") and any(change in data for change in CHANGES)


def lost_answer(count: int) -> Fault:
    """``count`` times, the backend acts and its answer is swallowed; then the connection ends."""

    async def fault(here: Scene) -> None:
        link, rng = here.stage.links["databases"], here.stage.rng

        def judge(data: bytes) -> bool:
            return link.swallowed < count and changes(data) and rng.random() < 0.5

        link.judge = judge
        async with here.load.running(longest=200):
            await eventually(
                lambda: link.swallowed >= count, within=90, what=f"{count} lost answers"
            )
        link.judge = lambda _: False

    return fault


def cut_link() -> Fault:
    """One link at a time is cut, detected and restored: store, broker, backend in random order."""

    async def fault(here: Scene) -> None:
        stage = here.stage
        names = ["store", "broker", "databases"]
        stage.rng.shuffle(names)
        async with here.load.running(longest=200):
            for name in names:
                await here.watcher.more(stage.rng.randint(5, 30))
                stage.links[name].cut(silently=stage.rng.random() < 0.5)
                try:
                    await _noticed(here, name)
                finally:
                    stage.links[name].restore()
                await eventually(stage.ready, within=90, every=0.2, what="everybody ready again")
            await here.watcher.more(10)

    return fault


async def _noticed(here: Scene, name: str) -> None:
    """Wait until those who need the link say that it is gone."""
    if name == "databases":
        # Only the sagas of databases notice; those of topics have to go on meanwhile.
        await here.watcher.more(8)
        return

    async def unready() -> bool:
        return len(await here.stage.unready()) >= len(here.stage.platform.pids) - 1

    await eventually(unready, within=60, every=0.2, what=f"services that miss {name}")
