"""A record at which a service fails, and that is discarded."""

from pathlib import Path

from busbar.messages.base import Fact
from busbar.messages.catalogue import BY_TYPE
from busbar.messages.delivery import DeadLetterDiscarded, DeadLettered
from busbar.runtime.consume.dead_letters import DeadLetters
from busbar.runtime.consume.engine import Engine
from busbar.runtime.consume.service import Service
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Store, open_store
from busbar.testing import ManualClock
from support.redrive import discard
from support.runtime import cipher


async def _fail(_received: object, _tx: object) -> None:
    raise ArithmeticError("a bug")


class Discarding:
    """The engine of a service whose handlers fail."""

    def __init__(self, service: Service, store: Store, clock: ManualClock) -> None:
        service.handlers = {type_: (one, _fail) for type_, (one, _) in service.handlers.items()}
        service.requests = {type_: (one, _fail) for type_, (one, _) in service.requests.items()}
        self.service, self.store = service, store
        dead_letters = DeadLetters(service.name, cipher(), executes=service.executes)
        self.engine = Engine(service, store, dead_letters, clock=clock, attempts=1)

    @classmethod
    async def of(cls, service: Service, folder: Path) -> "Discarding":
        """The engine over a store in ``folder``."""
        clock = ManualClock()
        file = folder / f"{service.name}-discarding.db"
        store = await open_store(file, service=service.name, clock=clock)
        store.publish_only(message.TYPE for message in service.publishes)
        return cls(service, store, clock)

    async def discarded(self, record: Record) -> tuple[list[Fact], DeadLetterDiscarded]:
        """Fail at ``record`` and discard it twice; return what that recorded, and its outcome."""
        await self.engine.handle_batch([record])
        before = await self.store.last_position()
        (dead_letter,) = [one for one in await self._facts(0) if isinstance(one, DeadLettered)]
        for number in (1, 2):
            request = discard(number, dead_letter.dead_letter, self.service.name)
            await self.engine.handle_batch([request])
        facts = await self._facts(before)
        outcome, again = [one for one in facts if isinstance(one, DeadLetterDiscarded)]
        assert (outcome.outcome, again.outcome) == ("discarded", "not_waiting")
        return [one for one in facts if not isinstance(one, DeadLetterDiscarded)], outcome

    async def _facts(self, after: int) -> list[Fact]:
        found = []
        for event in await self.store.events(after=after, limit=1000):
            fact = BY_TYPE[event.type].model_validate_json(event.data)
            assert isinstance(fact, Fact)
            found.append(fact)
        return found
