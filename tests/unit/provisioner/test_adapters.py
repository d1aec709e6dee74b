"""Adapters are found by their entry points and constructed on first use."""

from importlib.metadata import EntryPoint

import pytest

from busbar.backends.declaration import GROUP
from busbar.provisioner import adapters
from busbar.provisioner.adapters import InstalledAdapters
from busbar.testing import make_environment
from busbar.testing.memory import MemoryBackend

CLOSED: list[str] = []


class Closing(MemoryBackend):
    """Records that it was closed."""

    async def close(self) -> None:
        CLOSED.append("closed")


ENVIRONMENT = make_environment(kafka_bootstrap="127.0.0.1:1")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> InstalledAdapters:
    """One adapter, called ``closing``, is installed."""

    def offered(*, group: str, name: str) -> list[EntryPoint]:
        return [EntryPoint(name, f"{__name__}:Closing", group)] if name == "closing" else []

    monkeypatch.setattr(adapters, "entry_points", offered)
    monkeypatch.setattr(EntryPoint, "load", lambda _self: Closing)
    return InstalledAdapters(ENVIRONMENT)


def test_an_adapter_that_no_package_offers_is_not_found() -> None:
    assert InstalledAdapters(ENVIRONMENT).find("nowhere-to-be-found") is None


def test_the_adapters_of_busbar_itself_are_installed() -> None:
    assert InstalledAdapters(ENVIRONMENT).find("kafka-topic") is not None
    assert GROUP == "busbar.adapters"


def test_an_adapter_is_made_once(installed: InstalledAdapters) -> None:
    assert installed.find("closing") is installed.find("closing")
    assert isinstance(installed.find("closing"), Closing)


async def test_closing_closes_every_adapter_that_was_used(installed: InstalledAdapters) -> None:
    CLOSED.clear()
    await installed.close()
    assert CLOSED == []
    installed.find("closing")
    await installed.close()
    assert CLOSED == ["closed"]
