"""Wires the provisioner."""

from collections.abc import Mapping

from pydantic import SecretStr

from busbar.backends.port import Environment
from busbar.provisioner.adapters import InstalledAdapters
from busbar.provisioner.handlers import Provisioner
from busbar.runtime.core.settings import Settings
from busbar.runtime.host.process import App, Context
from busbar.runtime.secrets import SecretStore, secrets_of


def create(context: Context) -> App:
    """Return the provisioner over the installed adapters."""
    settings = context.settings
    secrets = secrets_of(settings, cipher=context.cipher, clock=context.clock)
    adapters = InstalledAdapters(environment_of(settings, secrets))
    provisioner = Provisioner(
        adapters, context.personal, clock=context.clock, lease=settings.lease_seconds
    )

    async def close() -> None:
        await adapters.close()
        await secrets.close()

    return App(service=provisioner.service(), open=secrets.connect, close=close)


def environment_of(settings: Settings, secrets: SecretStore) -> Environment:
    """Return what adapters may use: addresses, and ``secrets`` as the secret store."""

    async def store(reference: str, value: SecretStr, team: str | None) -> None:
        await secrets.put(reference, value, team=team)

    async def remove(reference: str) -> None:
        await secrets.remove(reference)

    async def store_server() -> Mapping[str, str]:
        if settings.database_url is None:
            return {}
        # The driver is loaded only if there is a server.
        from busbar.backends.postgres.isolation import store_server_at  # noqa: PLC0415 - when used

        return await store_server_at(settings.database_url)

    return Environment(
        kafka_bootstrap=settings.bootstrap(),
        secret=secrets.get_owned,
        store_secret=store,
        remove_secret=remove,
        store_server=store_server,
    )
