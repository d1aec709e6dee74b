"""An adapter limits its own concurrent calls."""

from busbar.backends.port import Backend
from busbar.provisioner.telemetry import DEFAULT_CONCURRENCY, InstrumentedBackend
from busbar.testing import ManualClock
from busbar.testing.memory import MemoryBackend


class Narrow(MemoryBackend):
    """An adapter that takes two calls at a time."""

    concurrency = 2


def concurrency_of(adapter: Backend) -> int:
    return InstrumentedBackend(adapter, "narrow", saga=None, clock=ManualClock()).concurrency


def test_an_adapter_that_sets_its_concurrency_is_called_no_more_often() -> None:
    assert concurrency_of(Narrow()) == 2


def test_an_adapter_that_sets_no_concurrency_gets_the_default() -> None:
    assert concurrency_of(MemoryBackend()) == DEFAULT_CONCURRENCY
