"""The checks of ``busbar doctor``: each returns a result with what was found and how to fix it."""

import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from busbar.cli.doctor.result import CheckResult
from busbar.cli.doctor.servers import check_servers
from busbar.cli.doctor.work import check_work
from busbar.cli.local import home as home_folder
from busbar.cli.local.files import other_files
from busbar.cli.local.kafka import check_reachable, jars, ports
from busbar.cli.local.kafka.probe import find_docker, find_java, find_maven
from busbar.cli.local.ready import check_process, process_address
from busbar.cli.shared import unsigned
from busbar.identity.adapters import load_principals
from busbar.kernel.errors import ConfigurationError
from busbar.kernel.text import counted
from busbar.policy.adapters import load_known, load_rules
from busbar.runtime.core.settings import Settings

MIN_PYTHON, MAX_PYTHON = (3, 11), (3, 13)
MIN_DISK_BYTES = 1024**3
"""A broker, its segments and the stores need a few hundred megabytes at first."""


def run_checks(settings: Settings) -> Iterator[CheckResult]:
    """Run every check."""
    running = home_folder.running_pid(settings.home)
    yield check_python()
    yield from check_kafka(settings)
    yield from check_servers(settings)
    yield check_disk(settings.home)
    yield check_home(settings.home)
    yield check_port(settings, running)
    yield from check_files(settings)
    yield from check_principals(settings)
    yield check_signatures(settings)
    yield from check_platform(settings.home, running)


def check_settings(problems: Iterable[str]) -> Iterator[CheckResult]:
    """Return a failed check for each of the ``problems`` of settings.

    Most of the other checks need settings that can be used.
    """
    for problem in problems:
        yield CheckResult(
            name="Settings",
            ok=False,
            detail=problem,
            fix="Correct or remove it (.env.example), then run `busbar doctor` again.",
        )


def check_python() -> CheckResult:
    """Check the version of this Python."""
    version = sys.version_info
    fits = MIN_PYTHON <= version[:2] <= MAX_PYTHON
    return CheckResult(
        name="Python",
        ok=fits,
        detail=f"{version.major}.{version.minor}.{version.micro}",
        fix="" if fits else "Use Python 3.11, 3.12 or 3.13.",
    )


def check_kafka(settings: Settings) -> Iterator[CheckResult]:
    """Check for a broker: a running one, Java with jars (or Maven to fetch them), or Docker."""
    given = settings.kafka_bootstrap_servers
    if given:
        try:
            check_reachable(given)
        except ConfigurationError as error:
            yield CheckResult(name="Kafka", ok=False, detail=error.problem, fix=error.fix)
        else:
            yield CheckResult(name="Kafka", ok=True, detail=f"{given} answers")
        return
    java, maven, docker = find_java(), find_maven(), find_docker()
    fetched = jars.find(jars.locate(settings.home)) is not None
    if fetched:
        yield CheckResult(name="Kafka jars", ok=True, detail="fetched", needed=False)
    for tool in (java, maven, docker):
        yield CheckResult(
            name=tool.name,
            ok=tool.usable,
            detail=tool.version or tool.problem or "",
            fix="" if tool.usable else tool.fix,
            needed=False,
        )
    possible = (java.usable and (fetched or maven.usable)) or docker.usable
    yield CheckResult(
        name="Kafka",
        ok=possible,
        detail="a broker can be started here" if possible else "a broker cannot be started here",
        fix="" if possible else "Install Java and Maven, or set KAFKA_BOOTSTRAP_SERVERS=host:port.",
    )


def check_disk(place: Path) -> CheckResult:
    """Check the free space where the state is kept."""
    free = shutil.disk_usage(_existing_parent(place)).free
    enough = free >= MIN_DISK_BYTES
    return CheckResult(
        name="Disk",
        ok=enough,
        detail=f"{free / 1024**3:.1f} GB free",
        fix="" if enough else "Free at least 1 GB.",
    )


def check_principals(settings: Settings) -> Iterator[CheckResult]:
    """Check the file that declares principals, if it is there: the first start creates it."""
    path = settings.principals_file()
    if not path.exists():
        return
    try:
        file = load_principals(path)
    except ConfigurationError as error:
        yield CheckResult(name="Principals", ok=False, detail=error.problem, fix=error.fix)
        return
    detail = f"{counted(len(file.principals), 'principal')} declared in {path}"
    yield CheckResult(name="Principals", ok=True, detail=detail)


def check_signatures(settings: Settings) -> CheckResult:
    """Check that intents need a signature."""
    if settings.unsigned_intents == "accept":
        return CheckResult(
            name="Signatures", ok=False, detail=unsigned.MEANING, fix=unsigned.FIX, needed=False
        )
    return CheckResult(name="Signatures", ok=True, detail="only signed intents are accepted")


def check_home(place: Path) -> CheckResult:
    """Check the permissions of the home folder."""
    if not place.exists():
        return CheckResult(name="Home", ok=True, detail=f"{place} will be created")
    problem = (
        home_folder.permission_problem(place) if place.is_dir() else f"{place} is not a folder."
    )
    return CheckResult(
        name="Home",
        ok=problem is None,
        detail=problem or str(place),
        fix=f"Run: chmod 700 {place}" if problem else "",
    )


def check_port(settings: Settings, running: int | None) -> CheckResult:
    """Check that the gateway's port is free."""
    number = settings.gateway_port_number
    if running is not None:
        return CheckResult(
            name="Gateway port", ok=True, detail="used by the platform that is running here"
        )
    free = not number or ports.is_free(number)
    return CheckResult(
        name="Gateway port",
        ok=free,
        detail=f"{number} is {'free' if free else 'in use'}",
        fix=""
        if free
        else "Stop the program that uses it, or set BUSBAR_GATEWAY_PORT_NUMBER to another port.",
    )


def check_files(settings: Settings) -> Iterator[CheckResult]:
    """Check the files that policy reads: environments, promises and rules."""
    try:
        known = load_known(settings.promise_folders(), settings.environments_file())
    except ConfigurationError as error:
        yield CheckResult(name="Promises", ok=False, detail=error.problem, fix=error.fix)
        return
    for name, problem in known.promises.broken.items():
        yield CheckResult(
            name="Promises",
            ok=False,
            detail=f"{name} cannot be offered: {problem}",
            fix="Correct the file; `busbar promises check` checks it.",
            needed=False,
        )
    try:
        book = load_rules(settings.policies, known)
    except ConfigurationError as error:
        yield CheckResult(name="Rules", ok=False, detail=error.problem, fix=error.fix)
        return
    detail = f"{len(book.rules)} rules hold in {', '.join(known.environments.names)}"
    yield CheckResult(name="Rules", ok=True, detail=detail)
    if difference := other_files(settings):
        yield CheckResult(
            name="Files",
            ok=False,
            detail=f"{difference}; this check reads those here",
            fix="Set these variables as they are where `busbar up` runs, or start it with yours.",
            needed=False,
        )


def check_platform(place: Path, running: int | None) -> Iterator[CheckResult]:
    """Check the services of the platform that runs in ``place``, if one does."""
    if running is None:
        yield CheckResult(name="Platform", ok=True, detail="not running", needed=False)
        return
    yield CheckResult(
        name="Platform", ok=True, detail=f"running as process {running}", needed=False
    )
    services = home_folder.read_state(place).get("services", {})
    for name, known in services.items():
        pid = known.get("pid")
        readiness = check_process(place, name, pid=pid)
        yield CheckResult(
            name=f"  {name}",
            ok=readiness.ready,
            detail=f"ready on port {readiness.port}" if readiness.ready else readiness.problem,
            fix="" if readiness.ready else f"See {place / 'logs' / name}.log.",
        )
        if readiness.ready and (address := process_address(place, name, pid=pid)) is not None:
            yield from check_work(name, address)


def _existing_parent(place: Path) -> Path:
    """Return ``place``, or its nearest parent that exists."""
    place = place.absolute()
    while not place.exists():
        place = place.parent
    return place
