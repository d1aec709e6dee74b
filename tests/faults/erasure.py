"""A person's data are erased while intents about the person are decided, copied and carried out."""

from typing import Any

from busbar.messages import topics
from busbar.messages.identity import EraseSubject
from busbar.messages.resource import ApplyResource
from faults.client import Client
from faults.names import THING
from faults.rotation import DONE, FIRST

ANN, BOB = "ann.lovelace@example.com", "bob.hopper@example.com"
"""Two persons; the data of the first one are erased."""

ERASE, DIRECT = "erase", "direct"
"""The intent that erases, and one that is in clear on the bus, as a producer has written it."""

EXPECTED = {"ann": DONE, DIRECT: DONE, ERASE: DONE, "bob": DONE}

_LATE = ("busbar.audit", topics.INTENTS_RESOURCE)

PROMISE = """\
busbar: promise/v1
name: thing
title: Thing
description: What the simulation makes for a person.
owner: platform

versions:
  v1:
    spec:
      type: object
      additionalProperties: false
      required: [contact]
      properties:
        size:
          title: Size
          description: How large it is.
          type: integer
          default: 1
        contact:
          title: Contact
          description: Whom to ask about it.
          type: string
          x-busbar-personal: true

    plan:
      - name: a
        adapter: memory
        inputs:
          name: "${resource.name}-a"
          size: "${spec.size}"
        ready_within_seconds: 30
      - name: b
        adapter: memory
        inputs:
          name: "${resource.name}-b"
          contact: "${spec.contact}"
        ready_within_seconds: 30

    outputs:
      size: "${spec.size}"
      contact: "${spec.contact}"

    examples:
      - title: With a contact
        spec:
          contact: someone@example.com
"""

LEAVES: dict[str, dict[str, Any]] = {
    "orders-a": {"name": "orders-a", "size": 3},
    "orders-b": {"name": "orders-b", "contact": BOB},
}


def _thing(size: int, contact: str) -> ApplyResource:
    spec = {"size": size, "contact": contact}
    return ApplyResource.model_validate({**THING, "spec": spec})


async def erase(client: Client) -> None:
    """Apply with the data of one person, erase them, and apply with those of another.

    Audit reads an intent that is in clear only after the erasure.
    """
    await client.ask("ann", _thing(1, ANN))
    await client.once("keys noted", client.note_keys)
    await client.once("audit is late", lambda: _hold(client))
    await client.send(DIRECT, _thing(2, ANN), FIRST)
    await client.ask(ERASE, EraseSubject(subject=ANN.title()))
    await client.ask("bob", _thing(3, BOB))
    await client.once("audit reads on", lambda: _release(client))


async def _hold(client: Client) -> bool:
    client.broker.hold(*_LATE)
    return True


async def _release(client: Client) -> bool:
    client.broker.release(*_LATE)
    return True
