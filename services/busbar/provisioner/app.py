"""Wires the provisioner."""

from busbar.backends.port import Environment
from busbar.provisioner.adapters import InstalledAdapters
from busbar.provisioner.handlers import Provisioner
from busbar.runtime.process import App, Context
from busbar.runtime.secrets import SecretFolder


def create(context: Context) -> App:
    """The provisioner over the installed adapters."""
    settings = context.settings
    secrets = SecretFolder(settings.home / "secrets")
    adapters = InstalledAdapters(
        Environment(
            kafka_bootstrap=settings.bootstrap(),
            secret=secrets.get,
            store_secret=secrets.put,
            remove_secret=secrets.remove,
        )
    )
    provisioner = Provisioner(adapters, clock=context.clock, lease=settings.lease_seconds)
    return App(service=provisioner.service(), close=adapters.close)
