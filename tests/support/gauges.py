"""The gauges of the toy service, and what a scrape of them gives."""

from busbar.runtime.host.gauges import Gauges
from busbar.testing import ManualClock, RecordingPublisher
from support.metrics import samples
from support.runtime import (
    Toy,
    relay_of,
)

SERVICE = {"service": "policy"}


class Looking:
    """The gauges of a toy service, and a scrape of them."""

    def __init__(self, toy: Toy, publisher: RecordingPublisher, clock: ManualClock) -> None:
        self.waiting = 0
        self.relay = relay_of(toy.store, publisher, clock)
        self.gauges = Gauges(toy.store, clock=clock)
        self.gauges.attach(
            engine=toy.engine, relay=self.relay, behind=self._behind, kinds=("k", "parked")
        )

    async def _behind(self) -> int:
        return self.waiting

    async def scrape(self) -> dict[str, float]:
        """Return the samples of the service, by name and kind."""
        return {
            f"{one.name}/{one.labels['kind']}" if "kind" in one.labels else one.name: one.value
            for one in samples((await self.gauges.expose()).decode())
            if one.labels.items() >= SERVICE.items()
        }
