"""Dead letters are redriven and discarded at the same time: each operation ends once."""

from typing import Any

from busbar.messages.base import Intent
from busbar.messages.delivery import DiscardDeadLetter, RedriveDeadLetter
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import ApplyResource
from busbar.messages.views import OperationView
from busbar.policy.handlers import Policy
from busbar.provisioner.handlers import Provisioner
from busbar.runtime.consume.service import Received
from busbar.runtime.store import Transaction
from faults.client import Client
from faults.names import THING
from faults.world import Outside

POISON, STONE, CURED = "poison", "stone", "cured"
"""Intents at which a service fails; at the last one only until it is asked to retry."""

EXPECTED = {
    POISON: ("denied", "discarded"),
    STONE: ("failed", "discarded"),
    f"discard-{POISON}": ("succeeded", "discarded"),
    f"discard-{STONE}": ("succeeded", "discarded"),
    f"redrive-{POISON}": ("failed", "failed"),
    f"redrive-{STONE}": ("failed", "failed"),
}


class BrittlePolicy(Policy):
    """A policy with a bug."""

    async def decide(self, received: Received[Any], tx: Transaction) -> None:
        if received.message.name == POISON:
            raise KeyError("a bug")
        await super().decide(received, tx)


class BrittleProvisioner(Provisioner):
    """A provisioner with a bug, which is fixed for some intents."""

    outside: Outside

    async def enqueue(self, received: Received[IntentAllowed], tx: Transaction) -> None:
        if received.message.intent.id in self.outside.broken:
            raise KeyError("a bug")
        await super().enqueue(received, tx)


def prepare(outside: Outside) -> None:
    """Let the provisioner fail."""
    outside.broken |= {STONE, CURED}


def _named(name: str) -> dict[str, str]:
    return {**THING, "name": name}


_ASKED: dict[str, tuple[str, Intent]] = {
    POISON: ("policy", ApplyResource.model_validate({**_named(POISON), "spec": {}})),
    STONE: ("provisioner", ApplyResource.model_validate({**_named(STONE), "spec": {}})),
    CURED: ("provisioner", ApplyResource.model_validate({**THING, "spec": {"size": 1}})),
}


async def discard(client: Client) -> None:
    """Redrive and discard the dead letters of three operations, and wait for all of them."""
    operations = {name: await client.begin(name, intent) for name, (_, intent) in _ASKED.items()}
    requests: dict[str, str] = {}
    for name, operation in operations.items():
        requests |= await _request(client, name, operation)
    for id_, operation in {**operations, **requests}.items():
        await client.ended(id_, operation)


async def _request(client: Client, name: str, operation: str) -> dict[str, str]:
    """Ask for both things about the dead letter of an operation; return their operations."""
    await client.once(f"{name} is stuck", lambda: client.until(_is_stuck, operation))
    dead_letter = await client.once(f"dead letter of {name}", lambda: client.dead_letter(operation))
    about = {"service": _ASKED[name][0], "dead_letter": dead_letter}
    requests = {}
    for verb, intent in (("redrive", RedriveDeadLetter), ("discard", DiscardDeadLetter)):
        id_ = f"{verb}-{name}"
        requests[id_] = await client.begin(id_, intent.model_validate(about))
        if name == CURED:
            client.outside.broken.discard(CURED)
    return requests


def _is_stuck(view: OperationView) -> bool:
    return view.status == "stuck"
