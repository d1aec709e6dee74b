"""``busbar up``."""

import shlex
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from busbar.cli.local import Database, NotReady, Platform, Report
from busbar.cli.local.files import files_of
from busbar.cli.shared import unsigned
from busbar.cli.shared.exits import CommandError, ExitCode
from busbar.cli.shared.options import options_of
from busbar.cli.shared.output import console, errors, plain
from busbar.policy.adapters import load_known, load_rules
from busbar.runtime.core.settings import Settings

EXAMPLES = (
    "busbar up",
    "busbar up --home /var/lib/busbar --gateway-port 9000",
    "busbar up --instances 2",
)


class _Stop(BaseException):
    """SIGINT or SIGTERM arrived; a BaseException, so that no handler on its way swallows it."""


def command(
    context: typer.Context,
    gateway_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, help="The gateway's port; 0 picks a free one.", show_default="8642"
        ),
    ] = None,
    instances: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=12,
            help="Number of instances of each service (the gateway always runs once);"
            " more than 1 requires PostgreSQL.",
            show_default="1",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Run the whole platform on this machine.

    Starts a Kafka broker (unless KAFKA_BOOTSTRAP_SERVERS names one) and the processes of every
    service, restarts processes that die, and stops everything in order on Ctrl-C. Nothing is
    started while a rule file is broken; broken promise files are named first, and not offered.

    State, logs, secrets and the token are kept in the home folder (--home, .busbar by default).
    With BUSBAR_DATABASE_URL, state is kept in that PostgreSQL database; its tables are created and
    updated first if BUSBAR_DATABASE_OWNER_URL is set.
    """
    settings = options_of(context).settings()
    out = console()

    def report(text: str) -> None:
        if not quiet:
            out.print(plain(text))

    _check_files(settings, report)
    platform = Platform(
        settings.home,
        gateway_port=settings.gateway_port_number if gateway_port is None else gateway_port,
        host=settings.http_host,
        bootstrap=settings.kafka_bootstrap_servers,
        database=Database.of(settings),
        instances=settings.instances if instances is None else instances,
        files=files_of(settings),
        report=report,
    )
    with _stopping_on_signals(platform, report):
        try:
            platform.start()
            platform.wait_ready(report)
        except NotReady as error:
            raise CommandError(
                str(error),
                fix="Read the logs, or run `busbar doctor` in another terminal.",
                code=ExitCode.STUCK,
            ) from error
        _announce(platform, settings, report)
        platform.wait()


def _announce(platform: Platform, settings: Settings, report: Report) -> None:
    """Say where the platform is; warn that unsigned intents are accepted, even with ``--quiet``."""
    if settings.unsigned_intents == "accept":
        errors().print(f"[bold red]warning:[/] {unsigned.MEANING}. {unsigned.FIX}")
    report(_summary(platform, settings))


def _check_files(settings: Settings, report: Report) -> None:
    """Read the files that policy will read, so that an error comes before anything is started.

    Raises:
        ConfigurationError: policy would not start with them.
    """
    known = load_known(settings.promise_folders(), settings.environments_file())
    load_rules(settings.policies, known)
    for name, problem in known.promises.broken.items():
        report(f"{name} cannot be offered: {problem}")


@contextmanager
def _stopping_on_signals(platform: Platform, report: Report) -> Iterator[None]:
    """Stop ``platform`` in order at the first SIGINT or SIGTERM; kill it at the second."""
    stopping = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if stopping.is_set():
            platform.kill()
            return
        stopping.set()
        raise _Stop

    before = {
        number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        try:
            yield
        except _Stop:
            report("stopping")
        finally:
            stopping.set()
            platform.stop()
        report("stopped")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _summary(platform: Platform, settings: Settings) -> str:
    home = _relative(platform.home)
    busbar = _command()
    if settings.home != Settings.model_fields["home"].default:
        busbar += f" --home {shlex.quote(str(home))}"
    return "\n".join(
        (
            "busbar is up.",
            f"  gateway  {platform.url}",
            f"  token    {home / 'token'}",
            f"  logs     {home / 'logs'}",
            f"  Kafka    {platform.bootstrap}",
            f"  try      {busbar} get",
            "Press Ctrl-C to stop.",
        )
    )


def _command() -> str:
    """Return how to call busbar: its name if the shell finds it, else its path."""
    if shutil.which("busbar"):
        return "busbar"
    script = Path(sys.executable).parent / "busbar"
    if script.exists():
        return shlex.quote(str(_relative(script)))
    return f"{shlex.quote(sys.executable)} -m busbar"


def _relative(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
