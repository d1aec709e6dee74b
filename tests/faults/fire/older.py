"""A rollout: the release before still runs, on the new schemas and topics, beside the new one."""

import asyncio
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import SecretStr

from busbar.cli.local.plan import ServicePlan, Wiring, plan_services
from busbar.cli.local.supervisor import Supervisor
from faults.fire.recorded import recorded, unpack
from faults.fire.run import Fault, Scene
from faults.fire.stage import LEASE, Stage
from support import eventually

JOINED = "partitions_assigned"
STOP_SECONDS = 15.0


@dataclass(frozen=True)
class OlderService:
    """A service of the release before, and a sentence for each of its unexpected exits."""

    supervisor: Supervisor
    log: Path
    exits: list[str]


def side_by_side(facts: int) -> Fault:
    """Every service of the release before joins the new ones, stays for ``facts``, and leaves."""

    async def fault(here: Scene) -> None:
        with _older(here.stage) as older:
            async with here.load.running(longest=60):
                await _joined(older)
                await here.watcher.more(facts, within=150)
                here.findings.stuck += [
                    f"{'; '.join(service.exits)}: {_end_of(service.log)}"
                    for service in older
                    if service.exits
                ]
                await asyncio.to_thread(_stop, older)
                await here.watcher.more(30)

    return fault


async def _joined(older: Collection[OlderService]) -> None:
    """Return when each of them has partitions to read."""
    try:
        await eventually(
            lambda: all(JOINED in service.log.read_text(encoding="utf-8") for service in older),
            within=120,
            every=0.2,
            what="partitions for every service of the release before",
        )
    except AssertionError as error:
        logs = "\n".join(f"{service.supervisor.name}: {_end_of(service.log)}" for service in older)
        raise RuntimeError(f"{error}\n{logs}") from error


def _end_of(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")[-2000:]


@contextmanager
def _older(stage: Stage) -> Iterator[list[OlderService]]:
    """Every service of the release before, with a home of its own, until the end of the block."""
    home = stage.home.with_name("older")
    _furnish(home, stage)
    wiring = Wiring(
        home=home,
        bootstrap=stage.kafka.bootstrap,
        host="127.0.0.1",
        gateway_port=0,
        audit_port=0,
        policy_port=0,
        database_url=SecretStr(stage.store.url),
    )
    more = {
        "PYTHONPATH": str(home / "build" / "services"),
        "BUSBAR_LEASE_SECONDS": LEASE,
        **recorded().settings,
    }
    older: list[OlderService] = []
    try:
        for plan in plan_services(wiring):
            if not (home / "build" / "services" / "busbar" / plan.name).is_dir():
                continue  # a service that the release before does not have
            log = home / f"{plan.name}.log"
            log.touch()
            with_build = replace(plan, environment={**plan.environment, **more})
            older.append(_start(with_build, log))
        yield older
    finally:
        _stop(older)


def _start(plan: ServicePlan, log: Path) -> OlderService:
    exits: list[str] = []
    supervisor = Supervisor(
        plan, log, report=exits.append, on_failure=lambda failure: exits.append(failure.problem)
    )
    supervisor.start()
    return OlderService(supervisor, log, exits)


def _stop(older: Collection[OlderService]) -> None:
    for service in older:
        service.supervisor.terminate()
    for service in older:
        service.supervisor.join(timeout=STOP_SECONDS)


def _furnish(home: Path, stage: Stage) -> None:
    """Unpack the build; it shares the data key, and keeps secrets in files."""
    home.mkdir(mode=0o700)
    shutil.copy2(stage.home / "data.key", home)
    shutil.copy2(stage.home / "token", home)
    folder = home / "secrets"
    folder.mkdir(mode=0o700)
    for reference, value in stage.secrets.items():
        file = folder / reference.removeprefix("secret:")
        file.touch(mode=0o600)
        file.write_text(value.get_secret_value(), encoding="utf-8")
    unpack(home / "build")
