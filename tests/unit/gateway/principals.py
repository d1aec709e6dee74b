"""Principals of several teams that call the gateway with tokens of their own."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from busbar.messages.access_token import sign_token
from busbar.messages.identity import KeyRegistered, PrincipalDeclared
from busbar.messages.signing import SigningKey
from busbar.testing import ManualClock
from unit.gateway.conftest import Api, Platform, Reply


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal with its key, and its calls."""

    name: str
    api: Api
    clock: ManualClock
    key: SigningKey = field(default_factory=SigningKey.generate)

    def token(self, **more: Any) -> str:
        return sign_token(
            self.name, self.key, issued=int(self.clock.now().timestamp()), **{"seconds": 60, **more}
        )

    async def get(self, target: str, **more: Any) -> Reply:
        return await self.api.get(target, token=self.token(), **more)

    async def items(self, target: str, field: str = "id") -> list[Any]:
        """This field of the items of one page."""
        reply = await self.get(target)
        assert reply.status == 200, reply
        return [item[field] for item in reply.json["items"]]


def declared(
    name: str, teams: Sequence[str], *, permissions: Sequence[str] = (), sources: Sequence[str] = ()
) -> PrincipalDeclared:
    return PrincipalDeclared(
        principal=name,
        kind="service-account",
        teams=tuple(teams),
        sources=tuple(sources) or (f"urn:of:{name}",),
        permissions=tuple(permissions),
    )


def registered(name: str, key: SigningKey) -> KeyRegistered:
    return KeyRegistered(key=key.public.id, principal=name, public_key=key.public.text)


async def join(
    platform: Platform,
    api: Api,
    name: str,
    *teams: str,
    permissions: Sequence[str] = (),
    sources: Sequence[str] = (),
) -> Caller:
    """A principal that is declared, with a registered key."""
    caller = Caller(name, api, platform.clock)
    await platform.publish(
        declared(name, teams, permissions=permissions, sources=sources),
        registered(name, caller.key),
    )
    return caller
