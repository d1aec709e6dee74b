"""The thread of `busbar up` that watches the platform goes on whatever fails."""

import errno
import threading
from collections.abc import Iterator

import pytest

from busbar.cli.local.kafka import Broker
from busbar.cli.local.monitor import Monitor
from busbar.cli.local.ready import Readiness
from busbar.kernel.errors import ConfigurationError
from support import eventually


class _Broker:
    """A broker that can be started only while there is space."""

    bootstrap = "127.0.0.1:1"

    def __init__(self) -> None:
        self.pid: int | None = 7
        self.full = False
        self.starts = 0

    def start(self) -> None:
        self.starts += 1
        if self.full:
            raise ConfigurationError("Kafka did not start: no space left on device.", fix="")
        self.pid = 8

    def stop(self) -> None:
        self.pid = None


class _Stage:
    def __init__(self) -> None:
        self.broker = _Broker()
        self.reports: list[str] = []
        self.full = False
        self.writes = 0
        self.stopping = threading.Event()
        broker: Broker = self.broker
        self.monitor = Monitor(
            broker,
            stopping=self.stopping,
            update_state=self.update_state,
            readiness=lambda: {"policy": Readiness("")},
            report=self.reports.append,
        )
        self.thread = threading.Thread(target=self.monitor.run, daemon=True)
        self.thread.start()

    def update_state(self) -> None:
        self.writes += 1
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def stage() -> Iterator[_Stage]:
    made = _Stage()
    yield made
    made.stopping.set()
    made.thread.join(10)
    assert not made.thread.is_alive()


async def test_a_notice_that_cannot_be_written_is_reported_once_and_tried_again(
    stage: _Stage,
) -> None:
    stage.full = True
    before = stage.writes
    await eventually(lambda: stage.writes >= before + 4, within=30)
    said = [text for text in stage.reports if "No space left on device" in text]
    assert len(said) == 1
    assert said[0].startswith("the platform cannot be watched completely: ")
    stage.full = False
    before = stage.writes
    await eventually(lambda: stage.writes >= before + 2, within=30)


async def test_a_broker_is_started_again_while_the_notice_cannot_be_written(stage: _Stage) -> None:
    stage.full = True
    stage.broker.pid = None
    await eventually(lambda: stage.broker.pid == 8, within=30)
    assert "Kafka ended; restarting it" in stage.reports


async def test_a_broker_that_cannot_start_is_tried_until_it_can(stage: _Stage) -> None:
    stage.broker.full = True
    stage.broker.pid = None
    await eventually(lambda: stage.broker.starts >= 3, within=60)
    assert any("Kafka cannot be restarted: Kafka did not start" in x for x in stage.reports)
    stage.broker.full = False
    await eventually(lambda: stage.broker.pid == 8, within=60)
