"""``python -m faults.older_store``: stores from a backup meet a Kafka that has gone on since.

The second of two intents is under way when every store is copied; a while later everything is lost
but Kafka, the world and who gets webhooks. The platform starts again on the copied stores. With
``whole`` the topics are copied with the stores. Prints what came of it as JSON.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from busbar.audit.handlers import completeness
from busbar.messages.views import OperationView, ResourceView
from busbar.runtime.store import Store
from faults import simulation
from faults.loop import wait
from faults.names import RESOURCE
from faults.simulation import simulated
from faults.sqlite import copy_as_killed
from faults.verdict import _BusNow
from replay.stage import MOST_AWAITS, Stage


class Older(Stage):
    """A platform that is restored."""

    def __init__(self, root: Path, *, copied: float, lost: float, whole: bool) -> None:
        super().__init__(self._before, root)
        self._copied, self._lost, self._whole = copied, lost, whole
        self._topics: dict[Any, Any] | None = None
        self.found: dict[str, Any] = {}

    async def _before(self, _stage: Stage) -> None:
        await self.subscribe()
        await self.apply(size=1)
        asking = self.loop.create_task(self.apply(id_="second", size=2))
        await wait(self._copied)
        copy_as_killed(self._home, self.root / "backup")
        if self._whole:
            self._topics = {place: list(log) for place, log in self.broker.logs.items()}
        await wait(self._lost - self._copied)
        self.loop.stop()
        await asking

    async def _after(self, _stage: Stage) -> None:
        await wait(600)
        self.found["restored"] = await self._shown()
        await self.apply(id_="second once more", size=2)
        await wait(60)
        self.found["asked again"] = await self._shown()
        report = await completeness(self.stores["audit"], _BusNow(self.broker))
        self.found["audit"] = sorted({problem.kind for problem in report.problems})
        self.found["effects"] = len(self.outside.world.effects)
        self.found["webhooks"] = len(set(self.outside.received))
        self.found["world"] = {k: v.inputs["size"] for k, v in self.outside.world.things.items()}
        self.ended = True

    async def _shown(self) -> dict[str, Any]:
        """Return the operations and the resource as the gateway shows them."""
        store: Store = self.stores["gateway"]
        async with store.reading() as tx:
            operations = await tx.documents.find("operation", limit=100)
            resource = await tx.documents.get("resource", RESOURCE)
        views = [OperationView.model_validate(one.value["view"]) for one in operations]
        thing = ResourceView.model_validate(resource)
        return {
            "operations": {str(view.intent.get("id")): view.status for view in views},
            "resource": [thing.status, thing.generation, thing.outputs],
        }

    def play(self) -> None:
        """Run, lose everything, and run on what was copied."""
        self.run(())
        if self._topics is not None:
            self.broker.logs.clear()
            self.broker.logs.update(self._topics)
        self._home = self.root / "backup"
        self.script, self.ended = self._after, False
        self.restart()
        self.run(())
        if self.loop.overrun or self.deaths or not self.ended:
            raise RuntimeError(f"it did not end well: {self.deaths}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Restore once for each time of loss that is given."""
    parser = argparse.ArgumentParser(prog="python -m faults.older_store", description=__doc__)
    parser.add_argument("lost", nargs="+", type=float, help="seconds after the second intent")
    parser.add_argument("--copied", type=float, default=0.001, help="seconds after it, too")
    parser.add_argument("--whole", action="store_true", help="restore the topics as well")
    options = parser.parse_args(arguments)
    found = {}
    for lost in options.lost:
        with tempfile.TemporaryDirectory() as root, pytest.MonkeyPatch.context() as patch:
            patch.setattr(simulation, "MOST_AWAITS", MOST_AWAITS)
            stages: list[Older] = []
            with simulated():
                stage = Older(Path(root), copied=options.copied, lost=lost, whole=options.whole)
                stages.append(stage)
                stage.play()
                simulation._STOPPED.append(stage)
            found[str(lost)] = stage.found
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # nothing of the platforms that were stopped has a say any more
