"""Each check answers with one finding: fine, or why not and what to do."""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from busbar.cli.local import home as folder
from busbar.cli.local.kafka import check_reachable, jars, ports
from busbar.cli.local.kafka.probe import find_docker, find_java, find_maven
from busbar.cli.local.ready import readiness
from busbar.cli.local.running import holder
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.settings import Settings

OLDEST_PYTHON, NEWEST_PYTHON = (3, 11), (3, 13)
LEAST_DISK = 1024**3
"""Bytes: a broker, its segments and the stores need a few hundred megabytes at first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row. ``needed`` is false for what only informs: `up` works without it."""

    name: str
    ok: bool
    detail: str
    fix: str = ""
    needed: bool = True


def examine(settings: Settings) -> Iterator[Finding]:
    """Everything that `busbar up` depends on."""
    running = holder(settings.home)
    yield python()
    yield from kafka(settings)
    yield disk(settings.home)
    yield home(settings.home)
    yield port(settings, running)
    yield from platform(settings.home, running)


def python() -> Finding:
    """The Python that runs this."""
    version = sys.version_info
    fits = OLDEST_PYTHON <= version[:2] <= NEWEST_PYTHON
    return Finding(
        name="Python",
        ok=fits,
        detail=f"{version.major}.{version.minor}.{version.micro}",
        fix="" if fits else "Use Python 3.11, 3.12 or 3.13.",
    )


def kafka(settings: Settings) -> Iterator[Finding]:
    """A way to get a broker: a given one, Java with jars (or Maven to fetch them), or Docker."""
    given = settings.kafka_bootstrap_servers
    if given:
        try:
            check_reachable(given)
        except ConfigurationError as error:
            yield Finding(name="Kafka", ok=False, detail=error.problem, fix=error.fix)
        else:
            yield Finding(name="Kafka", ok=True, detail=f"{given} answers")
        return
    java, maven, docker = find_java(), find_maven(), find_docker()
    fetched = jars.present(jars.locate(settings.home)) is not None
    if fetched:
        yield Finding(name="Kafka jars", ok=True, detail="fetched", needed=False)
    for tool in (java, maven, docker):
        yield Finding(
            name=tool.name,
            ok=tool.usable,
            detail=tool.version or tool.problem or "",
            fix="" if tool.usable else tool.fix,
            needed=False,
        )
    possible = (java.usable and (fetched or maven.usable)) or docker.usable
    yield Finding(
        name="Kafka",
        ok=possible,
        detail="a broker can be started here" if possible else "nothing here can run a broker",
        fix="" if possible else "Install Java and Maven, or set KAFKA_BOOTSTRAP_SERVERS=host:port.",
    )


def disk(place: Path) -> Finding:
    """Room where the state is kept."""
    free = shutil.disk_usage(_nearest(place)).free
    enough = free >= LEAST_DISK
    return Finding(
        name="Disk",
        ok=enough,
        detail=f"{free / 1024**3:.1f} GB free",
        fix="" if enough else "Make room: at least 1 GB.",
    )


def home(place: Path) -> Finding:
    """The folder that everything is kept in."""
    if not place.exists():
        return Finding(name="Home", ok=True, detail=f"{place} will be made")
    problem = folder.exposure(place) if place.is_dir() else f"{place} is no folder."
    return Finding(
        name="Home",
        ok=problem is None,
        detail=problem or str(place),
        fix=f"Run: chmod 700 {place}" if problem else "",
    )


def port(settings: Settings, running: int | None) -> Finding:
    """The gateway's port."""
    number = settings.gateway_port
    if running is not None:
        return Finding(name="Gateway port", ok=True, detail="used by the platform that runs here")
    free = not number or ports.is_free(number)
    return Finding(
        name="Gateway port",
        ok=free,
        detail=f"{number} is {'free' if free else 'in use'}",
        fix="" if free else "Stop what uses it, or choose another: BUSBAR_GATEWAY_PORT.",
    )


def platform(place: Path, running: int | None) -> Iterator[Finding]:
    """Whether a platform runs, and how its services are."""
    if running is None:
        yield Finding(name="Platform", ok=True, detail="not running", needed=False)
        return
    yield Finding(name="Platform", ok=True, detail=f"runs as process {running}", needed=False)
    services = folder.read_notice(place).get("services", {})
    for name, known in services.items():
        how = readiness(place, name, pid=known.get("pid"))
        yield Finding(
            name=f"  {name}",
            ok=how.ready,
            detail=f"ready on port {how.port}" if how.ready else how.problem,
            fix="" if how.ready else f"See {place / 'logs' / name}.log.",
        )


def _nearest(place: Path) -> Path:
    """``place``, or what is there of the way to it."""
    place = place.absolute()
    while not place.exists():
        place = place.parent
    return place
