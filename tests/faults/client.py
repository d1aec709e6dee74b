"""A client that outlives the platform's processes: it waits for answers, and remembers them."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from sqlalchemy import select

from busbar.gateway.domain import ADMINISTRATOR
from busbar.gateway.handlers import DEAD_LETTER, OPERATION, accept_intent
from busbar.kernel.clock import Clock
from busbar.kernel.ids import operation_text, record_operation
from busbar.messages.base import Intent
from busbar.messages.codec import kafka as codec
from busbar.messages.envelope import Envelope
from busbar.messages.signing import SigningKey, sign
from busbar.messages.views import OperationView
from busbar.runtime.personal import PersonalData
from busbar.runtime.secrets.tables import subjects
from busbar.runtime.store import Store, StoreTransaction, StoreUnavailable
from faults.bus import Broker
from faults.loop import latency
from faults.names import SOURCE
from faults.world import Outside

LOOK_SECONDS = 0.05
"""The pause between two looks at what became of an intent."""

Result = TypeVar("Result")


def envelope_of(id_: str, intent: Intent) -> Envelope:
    """The event of ``intent``."""
    data = intent.model_dump(mode="json", exclude_none=True)
    body = intent.model_dump_json(exclude_none=True).encode()
    return Envelope(id=id_, source=SOURCE, type=intent.TYPE, data=data, body=body)


class Client:
    """Asks over the gateway of this life, or signs and publishes by itself."""

    def __init__(
        self,
        store: Store,
        personal: PersonalData,
        outside: Outside,
        broker: Broker,
        clock: Clock,
    ) -> None:
        self._store = store
        self._personal = personal
        self._clock = clock
        self.outside = outside
        self.broker = broker

    async def once(self, name: str, act: Callable[[], Awaitable[Result]]) -> Result:
        """Do something, unless that was done in an earlier life."""
        if name not in self.outside.answers:
            self.outside.answers[name] = await act()
        result: Result = self.outside.answers[name]
        return result

    async def begin(self, id_: str, intent: Intent) -> str:
        """Send an intent until the gateway has it; return its operation."""

        async def act() -> str:
            await latency()
            while True:
                try:
                    await self._accept(envelope_of(id_, intent))
                except StoreUnavailable:
                    await self._clock.sleep(1)
                else:
                    break
            await latency()
            return operation_text(SOURCE, id_)

        return await self.once(f"{id_} begins", act)

    async def _accept(self, received: Envelope) -> None:
        """Seal and store an intent, as the gateway's route for events does."""
        data = await self._personal.seal(received.data)
        await accept_intent(
            self._store,
            replace(received, data=data),
            principal=ADMINISTRATOR,
            traceparent=None,
        )

    async def ask(self, id_: str, intent: Intent) -> OperationView:
        """Send an intent to the gateway, and wait for its end."""
        operation = await self.begin(id_, intent)
        return await self.ended(id_, operation)

    async def ended(self, id_: str, *operations: str) -> OperationView:
        """Wait for the end of the intent ``id_``, which has one of these operations."""
        return await self.once(id_, lambda: self.until(_has_ended, *operations))

    async def send(self, id_: str, intent: Intent, key: SigningKey) -> OperationView:
        """Publish an intent that is signed with ``key``, and wait for its end, or its record's."""
        return await self.once(id_, lambda: self._sent(id_, intent, key))

    async def send_until_known(self, id_: str, intent: Intent, key: SigningKey) -> OperationView:
        """Send an intent again under the same id until policy knows the ``key``."""

        async def act() -> OperationView:
            while (view := await self._sent(id_, intent, key)).reason == "unknown_key":
                await self._clock.sleep(LOOK_SECONDS)
            return view

        return await self.once(id_, act)

    async def _sent(self, id_: str, intent: Intent, key: SigningKey) -> OperationView:
        headers, value, record_key = codec.write(envelope_of(id_, intent))
        signature = sign(
            key, topic=intent.TOPIC, record_key=record_key, headers=headers, value=value
        )
        await latency()
        record = self.broker.append(
            intent.TOPIC, key=record_key, value=value, headers=[*headers, signature]
        )
        await latency()
        place = record_operation(record.topic, record.partition, record.offset)
        return await self.until(_has_ended, operation_text(SOURCE, id_), str(place))

    async def until(
        self, is_wanted: Callable[[OperationView], bool], *operations: str
    ) -> OperationView:
        """Look until one of the operations is as wanted."""
        while True:
            for operation in operations:
                view = await self._view(operation)
                if view is not None and is_wanted(view):
                    return view
            await self._clock.sleep(LOOK_SECONDS)

    async def _view(self, operation: str) -> OperationView | None:
        known = await self._read(lambda tx: tx.documents.get(OPERATION, operation))
        return OperationView.model_validate(known["view"]) if known else None

    async def note_keys(self) -> bool:
        """Remember every key of a person, encrypted, as the database has it now."""
        query = select(subjects.c.sealed).where(subjects.c.subject != "index")
        while True:
            try:
                rows = await self._personal._keys._database.read(lambda on: on.execute(query))
            except StoreUnavailable:
                await self._clock.sleep(1)
            else:
                self.outside.stored_keys = [row.sealed for row in rows]
                return True

    async def dead_letter(self, operation: str) -> str:
        """Return the dead letter that the operation waits for."""
        found = await self._read(lambda tx: tx.documents.find(DEAD_LETTER, limit=100))
        mine: list[str] = [one.key for one in found if one.value["operation"] == operation]
        return mine[0]

    async def _read(self, read: Callable[[StoreTransaction], Awaitable[Any]]) -> Any:
        while True:
            try:
                async with self._store.reading() as tx:
                    return await read(tx)
            except StoreUnavailable:
                await self._clock.sleep(1)


def _has_ended(view: OperationView) -> bool:
    return view.ended
