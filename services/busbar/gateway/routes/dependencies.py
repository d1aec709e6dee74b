"""Everything that the endpoints need, kept in the state of the application."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Protocol

from fastapi import Depends, Request
from pydantic import SecretStr

from busbar.gateway.adapters import AuditResponse
from busbar.gateway.routes.backpressure import Backpressure
from busbar.gateway.routes.queries import Queries
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.personal import PersonalData
from busbar.runtime.store import Store


class AuditReader(Protocol):
    """Reads from another service, audit or policy."""

    async def get(self, path: str, query: Mapping[str, str]) -> AuditResponse:
        """Send a GET and return the response.

        Raises:
            AuditUnavailable: the service cannot be reached.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """The objects that endpoints use."""

    store: Store
    queries: Queries
    backpressure: Backpressure
    audit: AuditReader
    policy: AuditReader
    token: SecretStr
    cipher: Cipher
    personal: PersonalData


async def _dependencies(request: Request) -> Dependencies:
    found: Dependencies = request.app.state.dependencies
    return found


Use = Annotated[Dependencies, Depends(_dependencies)]
