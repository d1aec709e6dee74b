"""Histories of two teams, in the gateway and in audit, and everything that one of them can ask.

Whatever belongs to a team has its name in it, or one of its ids.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import NAMESPACE_URL, uuid5

from busbar.audit.handlers import Audit
from busbar.audit.routes import create_app as audit_app
from busbar.gateway.adapters import AuditResponse
from busbar.kernel.ids import operation_id
from busbar.messages.base import Intent, Message
from busbar.messages.codec import kafka as codec
from busbar.messages.delivery import DeadLettered
from busbar.messages.envelope import Envelope
from busbar.messages.topics import dead_letters
from busbar.runtime.consume.dead_letters import DeadLetters, pack
from busbar.runtime.consume.engine import Engine
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Store
from busbar.testing import ManualClock
from support.personal import no_personal_data
from support.runtime import cipher
from unit.audit.conftest import Bus
from unit.gateway.conftest import Api, Platform

MINE, THEIRS, UNKNOWN = "beta", "alpha", "gamma"
"""The team that asks, the one that it must learn nothing about, and one that does not exist."""

EXAMPLE_OPERATION = "0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a10"
EXAMPLE_EVENT = "11111111-1111-5111-8111-111111111111"
EXAMPLE_DEAD_LETTER = "22222222-2222-5222-8222-222222222222"


def source_of(team: str) -> str:
    return f"urn:team:{team}"


def operation_of(team: str, number: int) -> str:
    return str(operation_id(source_of(team), f"{team}-{number}"))


def dead_letter_of(team: str, number: int) -> str:
    return str(uuid5(NAMESPACE_URL, f"{team}-{number}"))


def event_of(team: str, number: int) -> str:
    return str(uuid5(NAMESPACE_URL, f"event of {team}-{number}"))


def resource_of(team: str, number: int) -> str:
    return f"{team}/dev/event-stream/{team}-{number}"


def example_of(model: type[Message], example: int, team: str, number: int) -> Message:
    """An example of ``model``, as one of ``team``."""
    text = json.dumps(model.EXAMPLES[example % len(model.EXAMPLES)])
    for old, new in (
        ("payments", team),
        ('"orders"', f'"{team}-{number}"'),
        ("orders-done", f"{team}-{number}"),
        (EXAMPLE_EVENT, event_of(team, number)),
        ("/orders", f"/{team}-{number}"),
        ("order-stream-1", f"{team}-{number}"),
        (EXAMPLE_OPERATION, operation_of(team, number)),
        (EXAMPLE_DEAD_LETTER, dead_letter_of(team, number)),
    ):
        text = text.replace(old, new)
    message = model.model_validate_json(text)
    if isinstance(message, DeadLettered):
        record = Record(message.topic, 0, 0, 0, None, f"a record of {team}".encode(), ())
        sealed = cipher().encrypt(pack(record), context=message.dead_letter)
        return message.model_copy(update={"sealed": base64.b64encode(sealed).decode()})
    return message


class AuditInProcess:
    """Audit as the gateway reads it, without a socket."""

    def __init__(self, store: Store, bus: Bus) -> None:
        self.api = Api(audit_app(store, bus, cipher()))

    async def get(self, path: str, query: Mapping[str, str]) -> AuditResponse:
        reply = await self.api.get(f"{path}?{urlencode(query)}")
        return AuditResponse(reply.status, reply.headers["content-type"], reply.body)


class World:
    """One log that the gateway and audit read."""

    def __init__(self, platform: Platform, audit: Store, clock: ManualClock) -> None:
        self.platform, self.clock = platform, clock
        failures = DeadLetters("audit", cipher())
        self.audit = Engine(
            Audit(cipher(), no_personal_data()).service(), audit, failures, clock=clock, attempts=2
        )
        self._count = 0
        self._log: list[tuple[Record, bool]] = []

    def says(self, message: Message, team: str, **about: str) -> None:
        """Add a record with ``message`` of ``team`` to the log; :meth:`read` has it read."""
        self._log.append((self._record(message, team, **about), isinstance(message, Intent)))

    async def read(self) -> None:
        """Have both services read what they have not read yet; the gateway reads no intents."""
        await self.audit.handle_batch([record for record, _ in self._log])
        facts = [record for record, is_intent in self._log if not is_intent]
        await self.platform.engine.handle_batch(facts)
        self._log.clear()

    def _record(self, message: Message, team: str, **about: str) -> Record:
        self._count += 1
        self.clock.advance(1)
        service = getattr(message, "service", "policy")
        topic = message.TOPIC if "{" not in message.TOPIC else dead_letters(service)
        envelope = Envelope(
            id=about.get("id", f"{team}-record-{self._count}"),
            source=about.get("source", "/busbar/elsewhere"),
            type=message.TYPE,
            time=self.clock.now(),
            data=message.model_dump(mode="json"),
            key=f"{team}-key",
        )
        headers, value, key = codec.write(envelope)
        offset = self.platform.next_offset(topic)
        return Record(topic, 0, offset, 0, key, value, headers)


def fill(template: str, team: str, number: int) -> str:
    """A path of the OpenAPI document with the ids of ``team`` in it."""
    known = {
        "team": team,
        "environment": "dev",
        "promise": "event-stream",
        "operation": operation_of(team, number),
        "dead_letter": dead_letter_of(team, number),
        "principal": f"{team}-ci",
        "event": event_of(team, number),
    }
    name = f"{team}-{number}"
    return template.format(**known, name=name)


def filters(team: str, number: int) -> dict[str, str]:
    """A value of each parameter that selects what belongs to ``team``."""
    return {
        "team": team,
        "resource": resource_of(team, number),
        "prefix": f"{team}/dev/",
        "operation": operation_of(team, number),
    }


def parameters(operation: Mapping[str, Any]) -> set[str]:
    """The names of the query parameters of an operation."""
    return {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"}
