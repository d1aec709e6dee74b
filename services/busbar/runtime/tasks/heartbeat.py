"""The heartbeat of a task runner extends leases, and cancels workers that lost theirs."""

from collections.abc import Sequence
from datetime import timedelta

from busbar.kernel.clock import Clock
from busbar.runtime.store import Claim, Store, StoreTransaction
from busbar.runtime.tasks.slots import Slots
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()


class Heartbeat:
    """Extends every lease of a runner three times per lease length."""

    def __init__(self, slots: Slots, store: Store, *, clock: Clock, lease: timedelta) -> None:
        """Extend the leases of the tasks in ``slots`` by ``lease``."""
        self._slots = slots
        self._store = store
        self._clock = clock
        self._lease = lease

    async def run(self) -> None:
        """Extend leases until cancelled."""
        slots = self._slots
        while True:
            await slots.occupied.wait()
            await self._clock.sleep(self._lease.total_seconds() / 3)
            if not slots.running:
                slots.occupied.clear()
                continue
            await self._beat()

    async def _beat(self) -> None:
        now, running = self._clock.now(), dict(self._slots.running)
        held = await self._extend([lease.claim for lease in running.values()])
        for task, lease in running.items():
            if held is not None:
                lease.ends = now + self._lease if lease.claim.identity in held else now
            if lease.ends <= now and task in self._slots.running:
                log.warning("lease_lost", task=lease.claim.kind, task_name=lease.claim.name)
                task.cancel()

    async def _extend(self, claims: Sequence[Claim]) -> set[tuple[str, str, int]] | None:
        """Return the identities of the claims that are still held; None if the store fails."""

        async def extend(tx: StoreTransaction) -> set[tuple[str, str, int]]:
            return {claim.identity for claim in await tx.tasks.held(claims)}

        try:
            return await self._store.transact(extend)
        except Exception as error:  # noqa: BLE001 - a heartbeat that ends would lose every lease
            log.warning("heartbeat_failed", error=type(error).__name__)
            return None
