"""The intents of each scenario, and the state that they must end in."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from busbar.kernel.ids import operation_id
from busbar.messages.base import Intent, OperationFact
from busbar.messages.envelope import Envelope
from busbar.messages.notification import ApplySubscription, SendTestEvent
from busbar.messages.resource import (
    ApplyResource,
    DeleteResource,
    ResourceDeleted,
    ResourceFailed,
    ResourceProvisioned,
)
from busbar.testing.memory import Refuse
from faults import discards, erasure, rotation
from faults.client import Client
from faults.names import SOURCE, STRANGER, THING
from faults.world import Outside

Things = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An intent, and the last fact that it has to end with."""

    id: str
    intent: Intent
    ends: type[OperationFact] | None

    @property
    def operation(self) -> str:
        return str(operation_id(SOURCE, self.id))

    @property
    def envelope(self) -> Envelope:
        data = self.intent.model_dump(mode="json", exclude_none=True)
        body = self.intent.model_dump_json(exclude_none=True).encode()
        return Envelope(id=self.id, source=SOURCE, type=self.intent.TYPE, data=data, body=body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One thing that can be asked for; ``before`` is there already when it is asked for."""

    name: str
    before: tuple[Asked, ...]
    asked: tuple[Asked, ...]
    leaves: Things
    """What is ours in the end: names with their inputs."""
    prepare: Callable[[Outside], None] = lambda _: None
    """What is done to the outside before anything is asked."""
    jumps: bool = False
    """Whether the clock is set forward and back by an hour, again and again."""
    script: Callable[[Client], Awaitable[None]] | None = None
    """What a client does that waits for answers; instead of ``asked``."""
    expects: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """How the intents of the script end: status and reason."""
    signed: bool = False
    """Whether identity runs as well, and policy takes signed intents only."""
    personal: bool = False
    """Whether the promise has a personal field, and a file the keys of persons."""
    rewound: bool = False
    """Whether policy reads the facts about keys from the start again."""
    stride: int = 1
    """Every how many awaits it is killed by default: the sweeps of all scenarios have a budget."""
    reset_stride: int = 1
    """Every how many awaits its connections are reset by default."""
    broken: bool = False
    """Whether services fail at some records, so that dead letters are left."""


def _thing(size: int) -> Things:
    return {f"orders-{step}": {"name": f"orders-{step}", "size": size} for step in "ab"}


def _apply(number: int, size: int, ends: type[OperationFact], **spec: Any) -> Asked:
    intent = ApplyResource.model_validate({**THING, "spec": {"size": size, **spec}})
    return Asked(id=f"apply-{number}", intent=intent, ends=ends)


def _delete(number: int) -> Asked:
    intent = DeleteResource.model_validate(THING)
    return Asked(id=f"delete-{number}", intent=intent, ends=ResourceDeleted)


SUBSCRIPTION = {"team": "payments", "name": "all"}
SUBSCRIBED = Asked(
    id="subscribe",
    intent=ApplySubscription(
        **SUBSCRIPTION,
        url="https://payments.example/hooks",
        types=("busbar.resource.provisioned.v1", "busbar.resource.failed.v1"),
        secret="secret:payments",  # noqa: S106 - a reference to a secret
    ),
    ends=None,
)
APPLIED = _apply(1, 1, ResourceProvisioned)


def _refuse(outside: Outside) -> None:
    outside.world.refused["orders-b"] = Refuse(permanent=True)


def _occupy(outside: Outside) -> None:
    outside.world.create_foreign("orders-b", {"name": "orders-b", "size": 9}, owner=STRANGER)


def _hang(outside: Outside) -> None:
    """Let the next change hang, and be carried out when its caller has given up."""
    outside.hanging = 1
    outside.full = True


def _slow(outside: Outside) -> None:
    outside.seconds = 2.0


ALL = {
    scenario.name: scenario
    for scenario in (
        Scenario(name="apply", before=(SUBSCRIBED,), asked=(APPLIED,), leaves=_thing(1)),
        Scenario(
            name="failing-apply",
            before=(SUBSCRIBED,),
            asked=(_apply(1, 1, ResourceFailed),),
            leaves={},
            prepare=_refuse,
        ),
        Scenario(
            name="occupied-apply",
            before=(SUBSCRIBED,),
            asked=(_apply(1, 1, ResourceFailed),),
            leaves={},
            prepare=_occupy,
        ),
        Scenario(
            name="update",
            before=(SUBSCRIBED, APPLIED),
            asked=(_apply(2, 2, ResourceProvisioned),),
            leaves=_thing(2),
        ),
        Scenario(
            name="test-event",
            before=(SUBSCRIBED, APPLIED),
            asked=(Asked(id="test", intent=SendTestEvent(**SUBSCRIPTION), ends=None),),
            leaves=_thing(1),
        ),
        Scenario(name="delete", before=(SUBSCRIBED, APPLIED), asked=(_delete(2),), leaves={}),
        Scenario(
            name="late-apply",
            before=(SUBSCRIBED,),
            asked=(_apply(1, 1, ResourceProvisioned, late=True, early=False),),
            leaves={"orders-late": {"name": "orders-late", "size": 1}},
        ),
        Scenario(
            name="delete-again",
            before=(SUBSCRIBED, APPLIED),
            asked=(_delete(2), _delete(3), _delete(4)),
            leaves={},
        ),
        Scenario(
            name="hanging-create",
            before=(SUBSCRIBED,),
            asked=(_apply(1, 1, ResourceFailed, tardy=True, early=False),),
            leaves={},
            prepare=_hang,
        ),
        Scenario(
            name="clock-jumps",
            before=(SUBSCRIBED, APPLIED),
            asked=(_apply(2, 2, ResourceProvisioned),),
            leaves=_thing(2),
            prepare=_slow,
            jumps=True,
        ),
        Scenario(
            name="discard",
            stride=10,
            reset_stride=20,
            before=(SUBSCRIBED, APPLIED),
            asked=(),
            leaves=_thing(1),
            prepare=discards.prepare,
            script=discards.discard,
            expects=discards.EXPECTED,
            broken=True,
        ),
        Scenario(
            name="key-rotation",
            reset_stride=10,
            before=(SUBSCRIBED, APPLIED),
            asked=(),
            leaves=_thing(3),
            script=rotation.rotate,
            expects=rotation.ROTATED,
            signed=True,
        ),
        Scenario(
            name="keys-delayed",
            stride=10,
            before=(SUBSCRIBED, APPLIED),
            asked=(),
            leaves=_thing(3),
            script=rotation.delayed,
            expects=rotation.DELAYED,
            signed=True,
        ),
        Scenario(
            name="keys-cut",
            stride=10,
            before=(SUBSCRIBED, APPLIED),
            asked=(),
            leaves=_thing(2),
            script=rotation.cut,
            expects=rotation.CUT,
            signed=True,
        ),
        Scenario(
            name="keys-rewound",
            stride=10,
            before=(SUBSCRIBED, APPLIED),
            asked=(),
            leaves=_thing(2),
            script=rotation.rewound,
            expects=rotation.REWOUND,
            signed=True,
            rewound=True,
        ),
        Scenario(
            name="erasure",
            reset_stride=10,
            before=(SUBSCRIBED,),
            asked=(),
            leaves=erasure.LEAVES,
            script=erasure.erase,
            expects=erasure.EXPECTED,
            signed=True,
            personal=True,
        ),
    )
}

PROMISE = """\
busbar: promise/v1
name: thing
title: Thing
description: What the simulation makes.
owner: platform

versions:
  v1:
    spec:
      type: object
      additionalProperties: false
      properties:
        size:
          title: Size
          description: How large it is.
          type: integer
          default: 1
        late:
          title: Late
          description: Whether it is made where things are shown late.
          type: boolean
          default: false
        tardy:
          title: Tardy
          description: Whether it is made where calls may hang.
          type: boolean
          default: false
        early:
          title: Early
          description: Whether it is made where things are visible immediately.
          type: boolean
          default: true

    plan:
      - name: a
        adapter: memory
        when: "${spec.early}"
        inputs:
          name: "${resource.name}-a"
          size: "${spec.size}"
        ready_within_seconds: 30
      - name: b
        adapter: memory
        when: "${spec.early}"
        inputs:
          name: "${resource.name}-b"
          size: "${spec.size}"
        ready_within_seconds: 30
      - name: late
        adapter: shelf
        when: "${spec.late}"
        inputs:
          name: "${resource.name}-late"
          size: "${spec.size}"
        ready_within_seconds: 30

      - name: tardy
        adapter: tardy
        when: "${spec.tardy}"
        inputs:
          name: "${resource.name}-tardy"
          size: "${spec.size}"
        ready_within_seconds: 30

    outputs:
      size: "${spec.size}"

    examples:
      - title: The defaults
        spec: {}
"""
