"""Wires the provisioner."""

from pydantic import SecretStr

from busbar.backends.port import Environment
from busbar.provisioner.adapters import InstalledAdapters
from busbar.provisioner.handlers import Provisioner
from busbar.runtime.process import App, Context
from busbar.runtime.secrets import SecretStore, secrets_of


def create(context: Context) -> App:
    """The provisioner over the installed adapters."""
    settings = context.settings
    secrets = secrets_of(settings, cipher=context.cipher, clock=context.clock)
    adapters = InstalledAdapters(environment_of(settings.bootstrap(), secrets))
    provisioner = Provisioner(adapters, clock=context.clock, lease=settings.lease_seconds)

    async def close() -> None:
        await adapters.close()
        await secrets.close()

    return App(service=provisioner.service(), open=secrets.open, close=close)


def environment_of(bootstrap: str, secrets: SecretStore) -> Environment:
    """What adapters get to know, with ``secrets`` as the place for secrets."""

    async def store(reference: str, value: SecretStr, team: str | None) -> None:
        await secrets.put(reference, value, team=team)

    async def remove(reference: str) -> None:
        await secrets.remove(reference)

    return Environment(
        kafka_bootstrap=bootstrap,
        secret=secrets.get,
        store_secret=store,
        remove_secret=remove,
    )
