"""What runs: one process for each service, told by its environment where everything is."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from busbar.messages.topics import SERVICES

WILDCARDS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - recognized, not bound


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePlan:
    """One process: its name, its command, and what is added to the environment."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Where everything is. ``host`` is the address that the services listen on."""

    home: Path
    bootstrap: str
    host: str
    gateway_port: int
    audit_port: int

    @property
    def gateway_url(self) -> str:
        """Where clients reach the gateway."""
        return f"http://{self._reachable}:{self.gateway_port}"

    @property
    def audit_url(self) -> str:
        """Where the gateway reaches audit."""
        return f"http://{self._reachable}:{self.audit_port}"

    @property
    def _reachable(self) -> str:
        host = "127.0.0.1" if self.host in WILDCARDS else self.host
        return f"[{host}]" if ":" in host else host


def plan_services(wiring: Wiring) -> tuple[ServicePlan, ...]:
    """Every service of the platform."""
    return tuple(
        ServicePlan(
            name=name,
            command=(sys.executable, "-m", "busbar", "run", name),
            environment=_environment(wiring, name),
        )
        for name in SERVICES
    )


def _environment(wiring: Wiring, name: str) -> dict[str, str]:
    return {
        "BUSBAR_HOME": str(wiring.home),
        "KAFKA_BOOTSTRAP_SERVERS": wiring.bootstrap,
        "BUSBAR_HTTP_HOST": wiring.host,
        "BUSBAR_GATEWAY_PORT": str(wiring.gateway_port),
        "BUSBAR_AUDIT_URL": wiring.audit_url,
        # Only audit needs a port that others know; a setting of the user's own would be taken
        # by all services at once.
        "BUSBAR_HTTP_PORT": str(wiring.audit_port if name == "audit" else 0),
        "PYTHONUNBUFFERED": "1",
    }
