"""The checks of the servers that settings name: the database of the services, and a collector."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from busbar.cli.doctor.result import CheckResult
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.settings import Settings
from busbar.runtime.store import StoreUnavailable

_SECONDS: Final = 2.0
_PORTS: Final = {"http": 80, "https": 443}


def check_servers(settings: Settings) -> Iterator[CheckResult]:
    """Check every server that is set; a platform without them uses files, and sends no traces."""
    for variable, url in (
        ("BUSBAR_DATABASE_URL", settings.database_url),
        ("BUSBAR_DATABASE_OWNER_URL", settings.database_owner_url),
    ):
        if url is not None:
            yield _check_database(variable, url)
    if settings.otlp_endpoint is not None:
        yield _check_collector(settings.otlp_endpoint)


def _check_database(variable: str, url: SecretStr) -> CheckResult:
    # The driver is loaded only if there is a database.
    from busbar.runtime.store.engines.postgres import check_database  # noqa: PLC0415 - when used

    try:
        asyncio.run(check_database(url.get_secret_value()))
    except ConfigurationError as error:
        return CheckResult(
            name="Database",
            ok=False,
            detail=f"{variable}: {error.problem}",
            fix=error.fix.replace("BUSBAR_DATABASE_URL", variable),
        )
    except StoreUnavailable as error:
        return CheckResult(
            name="Database",
            ok=False,
            detail=f"the database in {variable} cannot be reached: {error}",
            fix=f"Start the server, or correct host and port in {variable}.",
        )
    return CheckResult(name="Database", ok=True, detail=f"the one in {variable} answers")


def _check_collector(endpoint: str) -> CheckResult:
    """Check that something listens; services run without a collector, and lose their traces."""
    url = urlsplit(endpoint)
    place = (url.hostname or "", url.port or _PORTS.get(url.scheme, 80))
    try:
        socket.create_connection(place, timeout=_SECONDS).close()
    except OSError as error:
        return CheckResult(
            name="Traces",
            ok=False,
            detail="the collector in BUSBAR_OTLP_ENDPOINT cannot be reached: "
            f"{error.strerror or 'no answer'}",
            fix="Start it, or correct or unset BUSBAR_OTLP_ENDPOINT; until then traces are lost.",
            needed=False,
        )
    return CheckResult(
        name="Traces", ok=True, detail="the collector in BUSBAR_OTLP_ENDPOINT answers", needed=False
    )
