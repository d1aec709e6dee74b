"""Services as their wiring declares them: the topics they read and the messages they publish."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from pydantic import SecretStr
from structlog.testing import capture_logs

from busbar.messages import topics
from busbar.messages.base import Message
from busbar.messages.request import RequestAllowed
from busbar.runtime.consume.service import Service
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.core.clock import SystemClock
from busbar.runtime.core.settings import Settings
from busbar.runtime.host.process import Context, load
from busbar.runtime.personal import personal_data_of
from busbar.runtime.store import Store
from tools.contracts.names import topics_of


class _NoStore:
    """A store that wiring can hold on to, and nothing can use."""

    def on_commit(self, _listener: Callable[..., None]) -> None:
        """Ignore the listener: nothing is ever committed."""


@cache
def declared(name: str) -> Service:
    """Return the service that ``busbar.<name>.app`` wires, without a store, a broker or files."""
    with TemporaryDirectory() as folder, capture_logs():
        empty = Path(folder)
        # Defaults only: what is generated must not depend on this machine's environment.
        settings = Settings.model_construct(
            home=empty,
            promises=(empty,),
            policies=(empty,),
            kafka_bootstrap_servers="unused:9092",
            token=SecretStr("unused"),
        )
        store = cast("Store", _NoStore())
        cipher, clock = Cipher(bytes(32)), SystemClock()
        personal = personal_data_of(settings, cipher=cipher, clock=clock)
        context = Context(settings, store, clock, cipher, personal)
        return load(name)(context).service


def senders(topic: str, message: type[Message]) -> tuple[str, ...]:
    """Return the services that publish ``message`` on ``topic``."""
    if topic not in topics_of(message):
        return ()
    return tuple(
        name
        for name in topics.SERVICES
        if message in declared(name).publishes
        and (topic not in topics.DEAD_LETTERS or topic == topics.dead_letters(name))
    )


def receivers(topic: str, message: type[Message]) -> tuple[str, ...]:
    """Return the services that handle ``message`` when they read it from ``topic``."""
    if topic not in topics_of(message):
        return ()
    return tuple(
        name
        for name in topics.SERVICES
        if topic in declared(name).topics and _handles(declared(name), message)
    )


def _handles(service: Service, message: type[Message]) -> bool:
    if service.record_handler is not None or message is RequestAllowed:
        return True
    return message.TYPE in service.handlers


def sender_of(message: type[Message]) -> str | None:
    """Return the only service that publishes ``message``; None if there is none, or several."""
    found = {name for topic in topics_of(message) for name in senders(topic, message)}
    return found.pop() if len(found) == 1 else None
