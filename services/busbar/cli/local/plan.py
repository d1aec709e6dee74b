"""The processes of a platform, with the environment that configures each."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from busbar.messages.topics import SERVICES
from busbar.runtime.host.instances import process_name

SINGLE_INSTANCE = frozenset({"gateway"})
"""Services that clients reach at one port, so they run once."""

WILDCARDS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - recognized, not bound


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePlan:
    """One process: its name, its command, and its additions to the environment.

    The first instance of a service is named after it, the second ``<service>.2``.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """The addresses and folders that connect the processes.

    The services listen on ``host``. ``instances`` is the number of processes of each service: one
    on SQLite, more on PostgreSQL.
    """

    home: Path
    bootstrap: str
    host: str
    gateway_port: int
    audit_port: int
    policy_port: int
    database_url: SecretStr | None = None
    instances: int = 1

    @property
    def gateway_url(self) -> str:
        """The URL of the gateway for clients."""
        return f"http://{self._connect_host}:{self.gateway_port}"

    @property
    def audit_url(self) -> str:
        """The URL of audit for the gateway."""
        return f"http://{self._connect_host}:{self.audit_port}"

    @property
    def policy_url(self) -> str:
        """The URL of policy for the gateway."""
        return f"http://{self._connect_host}:{self.policy_port}"

    @property
    def _connect_host(self) -> str:
        host = "127.0.0.1" if self.host in WILDCARDS else self.host
        return f"[{host}]" if ":" in host else host


def plan_services(wiring: Wiring) -> tuple[ServicePlan, ...]:
    """Return every process of the platform."""
    return tuple(
        ServicePlan(
            name=process_name(name, number),
            command=(sys.executable, "-m", "busbar", "run", name),
            environment=_environment(wiring, name, number),
        )
        for name in SERVICES
        for number in range(1, 2 if name in SINGLE_INSTANCE else wiring.instances + 1)
    )


def _environment(wiring: Wiring, name: str, number: int) -> dict[str, str]:
    url = wiring.database_url
    return {
        "BUSBAR_HOME": str(wiring.home),
        "KAFKA_BOOTSTRAP_SERVERS": wiring.bootstrap,
        "BUSBAR_HTTP_HOST": wiring.host,
        "BUSBAR_GATEWAY_PORT_NUMBER": str(wiring.gateway_port),
        "BUSBAR_AUDIT_URL": wiring.audit_url,
        "BUSBAR_POLICY_URL": wiring.policy_url,
        # Only the first instances of audit and policy need ports that others know; a setting of the
        # user's own would be used by every service.
        "BUSBAR_HTTP_PORT_NUMBER": str(_known_ports(wiring).get((name, number), 0)),
        "BUSBAR_DATABASE_URL": url.get_secret_value() if url is not None else "",
        # Services cannot change their history: they do not get the credentials of the owner.
        "BUSBAR_DATABASE_OWNER_URL": "",
        "BUSBAR_INSTANCE_NUMBER": str(number),
        "PYTHONUNBUFFERED": "1",
    }


def _known_ports(wiring: Wiring) -> dict[tuple[str, int], int]:
    return {("audit", 1): wiring.audit_port, ("policy", 1): wiring.policy_port}
