"""Keys are registered, used and revoked while policy hears of it in time, late, never or again."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from busbar.gateway.domain import ADMINISTRATOR
from busbar.identity.domain import PrincipalEntry, PrincipalsFile
from busbar.messages import topics
from busbar.messages.identity import RegisterKey, RevokeKey
from busbar.messages.resource import ApplyResource
from busbar.messages.signing import SigningKey
from faults.client import Client
from faults.names import SOURCE, THING

CI = "payments-ci"


def _key(seed: int) -> SigningKey:
    return SigningKey(Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


GATEWAY, FIRST, SECOND = _key(1), _key(2), _key(3)
"""The keys of the gateway and of a service account, which gets the second one and loses the first.
"""

PRINCIPALS = PrincipalsFile(
    busbar="principals/v1",
    principals=(
        PrincipalEntry(
            name=ADMINISTRATOR.name, kind="person", teams=("*",), sources=("*",), permissions=("*",)
        ),
        PrincipalEntry(name="gateway", kind="service", keys=(GATEWAY.public.text,)),
        PrincipalEntry(
            name=CI,
            kind="service-account",
            teams=("payments",),
            sources=(SOURCE,),
            keys=(FIRST.public.text,),
        ),
    ),
)

_REGISTER = RegisterKey(principal=CI, public_key=SECOND.public.text)
_REVOKE = RevokeKey(key=FIRST.public.id, reason="it is rotated")
_STREAM = ("busbar.policy", topics.FACTS_IDENTITY)

DONE, REVOKED = ("succeeded", ""), ("denied", "revoked_key")


def _size(size: int) -> ApplyResource:
    return ApplyResource.model_validate({**THING, "spec": {"size": size}})


async def _until_revoked(client: Client, size: int) -> None:
    """Send intents that change nothing until policy has heard that the first key is revoked."""
    number = 0
    while (await client.send(f"probe-{number}", _size(size), FIRST)).reason != REVOKED[1]:
        number += 1


ROTATED = {"register": DONE, "second": DONE, "revoke": DONE, "late": REVOKED, "third": DONE}


async def rotate(client: Client) -> None:
    """Register another key, sign with it, and revoke the first one."""
    await client.ask("register", _REGISTER)
    await client.send_until_known("second", _size(2), SECOND)
    await client.ask("revoke", _REVOKE)
    await _until_revoked(client, 2)
    await client.send("late", _size(9), FIRST)
    await client.send("third", _size(3), SECOND)


DELAYED = {
    "register": DONE,
    "early": ("denied", "unknown_key"),
    "other": DONE,
    "first": DONE,
    "again": DONE,
}


async def delayed(client: Client) -> None:
    """Sign with a key of which policy hears late; meanwhile everything else goes on."""
    await client.once("delayed", lambda: _hold(client))
    await client.ask("register", _REGISTER)
    await client.send("early", _size(3), SECOND)
    await client.ask("other", _size(2))
    await client.send("first", _size(2), FIRST)
    await client.once("in time", lambda: _release(client))
    await client.send_until_known("again", _size(3), SECOND)


CUT = {"revoke": DONE, "register": DONE, "new": ("denied", "unknown_key"), "late": REVOKED}
CUT |= {"still": DONE, "other": DONE}


async def cut(client: Client) -> None:
    """Revoke and register keys while policy cannot read of it: what it knew last counts."""
    await client.once("cut", lambda: _hold(client))
    await client.ask("revoke", _REVOKE)
    await client.ask("register", _REGISTER)
    await client.send("still", _size(2), FIRST)
    await client.send("new", _size(9), SECOND)
    await client.ask("other", _size(2))
    await client.once("readable again", lambda: _release(client))
    await _until_revoked(client, 2)
    await client.send("late", _size(9), FIRST)


REWOUND = {"first": DONE, "register": DONE, "second": DONE}


async def rewound(client: Client) -> None:
    """Go on signing while policy reads all facts about keys again."""
    await client.send("first", _size(2), FIRST)
    await client.ask("register", _REGISTER)
    await client.send_until_known("second", _size(2), SECOND)


async def _hold(client: Client) -> bool:
    client.broker.hold(*_STREAM)
    return True


async def _release(client: Client) -> bool:
    client.broker.release(*_STREAM)
    return True
