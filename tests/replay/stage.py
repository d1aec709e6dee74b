"""The whole platform in the simulation, with a script in the place of its client."""

import random
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from busbar.gateway.domain import ADMINISTRATOR
from busbar.gateway.handlers import accept_intent
from busbar.kernel.ids import operation_text
from busbar.messages import topics
from busbar.messages.base import Intent
from busbar.messages.codec import kafka as codec
from busbar.messages.codec.json import dump_json
from busbar.messages.envelope import Envelope
from busbar.messages.notification import ApplySubscription
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import ApplyResource, DeleteResource
from busbar.provisioner.handlers import Provisioner
from busbar.runtime.consume.service import Received
from busbar.runtime.host.process import App
from busbar.runtime.personal import PersonalData
from busbar.runtime.store import Store, Transaction
from faults import simulation
from faults.loop import wait
from faults.names import RESOURCE, SOURCE, THING
from faults.scenarios import ALL
from faults.simulation import Simulation, simulated
from faults.world import SimulatedAdapters

SEED = 1
MOST_AWAITS = 100_000
WEBHOOK: Mapping[str, Any] = {
    "team": "payments",
    "name": "all",
    "url": "https://payments.example/hooks",
    "types": ("busbar.resource.provisioned.v1", "busbar.resource.failed.v1"),
    "secret": "secret:payments",
}


class Brittle(Provisioner):
    """A provisioner with a bug, while the stage has one."""

    stage: "Stage"

    async def enqueue(self, received: Received[IntentAllowed], tx: Transaction) -> None:
        if self.stage.bug:
            raise KeyError("a bug")
        await super().enqueue(received, tx)


class Stage(Simulation):
    """The platform, what is outside of it, and what a script does to both."""

    def __init__(self, script: "Script", root: Path) -> None:
        super().__init__(ALL["apply"], seed=SEED, root=root)
        self.script = script
        self.bug = False
        self.ended = False
        self._sent = 0

    async def _client(self, store: Store, personal: PersonalData) -> None:  # noqa: ARG002 - unused
        self.gateway = store
        await wait(1)
        await self.script(self)
        self.ended = True

    def _wire(self, name: str, personal: PersonalData) -> App:
        if name != "provisioner":
            return super()._wire(name, personal)
        adapters = SimulatedAdapters(self.outside, self.clock)
        lease = self._settings.lease_seconds
        brittle = Brittle(adapters, personal, clock=self.clock, lease=lease)
        brittle.stage = self
        return App(brittle.service())

    async def ask(self, intent: Intent, *, id_: str | None = None, **extensions: str) -> str:
        """Send ``intent`` to the gateway, and wait for what comes of it; the operation's id."""
        data = intent.model_dump(mode="json", exclude_none=True)
        envelope = self._envelope(data, type(intent), id_, extensions)
        await accept_intent(self.gateway, envelope, principal=ADMINISTRATOR, traceparent=None)
        await wait(5)
        return operation_text(SOURCE, envelope.id)

    async def apply(
        self, *, id_: str | None = None, generation: int | None = None, **spec: Any
    ) -> str:
        """Ask for the thing that every run is about."""
        intent = {**THING, "spec": spec, "expected_generation": generation}
        return await self.ask(ApplyResource.model_validate(intent), id_=id_)

    async def delete(self) -> str:
        """Ask for its end."""
        return await self.ask(DeleteResource.model_validate(THING))

    async def subscribe(self, **changed: Any) -> str:
        """Ask for webhooks about it."""
        return await self.ask(ApplySubscription.model_validate({**WEBHOOK, **changed}))

    async def publish(self, data: Any, intent: type[Intent], *, id_: str | None = None) -> None:
        """Put an event on the bus as any producer can, past the gateway."""
        headers, value, key = codec.write(self._envelope(data, intent, id_, {}))
        self.broker.append(intent.TOPIC, key=key, value=value, headers=[*headers])
        await wait(5)

    def dead_letter(self, service: str) -> str:
        """The id of the first dead letter of ``service``."""
        keys = [
            record.key or b""
            for (topic, _), log in sorted(self.broker.logs.items())
            if topic == topics.dead_letters(service)
            for record in sorted(log, key=lambda record: record.timestamp)
        ]
        return keys[0].decode()

    def _envelope(
        self, data: Any, intent: type[Intent], id_: str | None, extensions: Mapping[str, str]
    ) -> Envelope:
        self._sent += 1
        return Envelope(
            id=id_ or f"intent-{self._sent}",
            source=SOURCE,
            type=intent.TYPE,
            extensions=dict(extensions),
            data=data,
            body=dump_json(data),
            key=RESOURCE,
        )


Script = Callable[[Stage], Awaitable[None]]


def play(script: Script, root: Path) -> Path:
    """Run the platform in ``root`` until nothing is left to do; returns the folder of its stores.

    Raises:
        RuntimeError: it did not come to an end, or a part of it ended by an error.
    """
    stages: list[Stage] = []
    with simulated(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "MOST_AWAITS", MOST_AWAITS)
        # Dead letters are sealed under a nonce: with this one, the same run gives the same bytes.
        patch.setattr("secrets.token_bytes", random.Random(SEED).randbytes)
        stage = Stage(script, root)
        stages.append(stage)
        stage.run(())
        simulation._STOPPED.append(stage)  # what is collected now would complain of its loop
        if stage.loop.overrun or stage.deaths or not stage.ended:
            raise RuntimeError(f"the run did not end well: {stage.deaths}, {stage.loop.awaits}")
        return stage.home
