"""The common part of all scenarios: a stage, load, a fault, the verdict."""

import asyncio
import secrets
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
from pydantic import SecretStr

from faults.fire import oracle, outside
from faults.fire.load import Hook, Load, Watcher
from faults.fire.script import ENDINGS, scripts
from faults.fire.stage import INSTANCES, Stage, stage
from faults.report import Findings, Row

LONGEST_SECONDS = 900
"""Whatever takes longer than this has come to a stop."""

LOGS = Path(__file__).parents[3] / "build" / "faults"
STREAMS = 8
DATABASES = 3


@dataclass(slots=True)
class Scene:
    """The parts that a fault can act on."""

    stage: Stage
    load: Load
    watcher: Watcher
    hook: Hook
    findings: Findings

    async def explain(self, when: str) -> None:
        """Say on standard error what has not ended, and what goes on in the store just now."""
        found: dict[str, object] = {"when": when, "open": [ask.id for ask in self.load.open()]}
        for what, look in (
            ("unready", self.stage.unready),
            ("due", lambda: outside.due_tasks(self.stage)),
            ("lag", lambda: outside.lag(self.stage.kafka.bootstrap)),
            ("sessions", lambda: outside.sessions(self.stage)),
        ):
            try:
                async with asyncio.timeout(10):
                    found[what] = await look()
            except Exception as error:  # noqa: BLE001 - the rest is reported even if a part fails
                found[what] = repr(error)
        report = orjson.dumps(found, option=orjson.OPT_INDENT_2, default=str)
        sys.stderr.write(f"{report.decode()}\n")


Fault = Callable[[Scene], Awaitable[None]]


@asynccontextmanager
async def scene(
    seed: int,
    *,
    links: tuple[str, ...],
    instances: int,
    streams: int,
    databases: int,
    apart: bool = False,
) -> AsyncIterator[Scene]:
    """Everything in place, and a subscription to what is to come."""
    hook = Hook()
    placed = stage(seed, links=links, instances=instances, apart=apart)
    async with placed as here, hook.listening() as url:
        await _subscribe(here, url)
        watcher = Watcher(here.kafka.bootstrap)
        async with watcher.watching():
            work = scripts(seed, here.team, streams=streams, databases=databases)
            yield Scene(here, Load(here, watcher, work), watcher, hook, Findings())


async def _subscribe(here: Stage, url: str) -> None:
    secret = "whsec_" + secrets.token_hex(32)
    reference = "secret:hook"
    await here.put_secret(reference, SecretStr(secret), team=here.team)
    accepted = await here.client.subscribe(
        f"{here.team}/hook", url=url, types=tuple(ENDINGS), secret=reference
    )
    await here.client.wait(accepted.operation, timeout=30)


def _keep_logs(here: Stage, name: str) -> None:
    """Keep the logs of the processes, to find the cause."""
    kept = LOGS / f"{name}-{here.seed}"
    shutil.copytree(here.home / "logs", kept, dirs_exist_ok=True)
    sys.stderr.write(f"{name} (seed {here.seed}): the logs are in {kept}\n")


def scenario(
    name: str,
    fault: Fault,
    *,
    links: tuple[str, ...] = (),
    instances: int = INSTANCES,
    streams: int = STREAMS,
    databases: int = DATABASES,
    apart: bool = False,
    longest: int = LONGEST_SECONDS,
) -> Callable[[int], Row]:
    """``fault`` under load, as a function from seed to row."""

    async def play(seed: int) -> Row:
        async with (
            asyncio.timeout(longest),
            scene(
                seed,
                links=links,
                instances=instances,
                streams=streams,
                databases=databases,
                apart=apart,
            ) as here,
        ):
            held = False
            try:
                try:
                    await fault(here)
                except AssertionError:
                    await here.explain("what was waited for did not happen")
                    raise
                await oracle.settle(here.stage, here.load, here.findings)
                await oracle.judge(here.stage, here.load, here.hook, here.findings)
                await oracle.after(here.stage, here.findings)
                row = oracle.row_of(here.findings, name, here.stage)
                held = row.held
                return row
            finally:
                if not held:
                    _keep_logs(here.stage, name)

    def run(seed: int) -> Row:
        return asyncio.run(play(seed))

    return run
