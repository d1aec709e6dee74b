"""Wires identity."""

from busbar.identity.adapters import load_principals
from busbar.identity.handlers import Identity
from busbar.runtime.host.process import App, Context


def create(context: Context) -> App:
    """Return identity, which records the declared principals before it runs.

    Raises:
        ConfigurationError: the file of principals is broken.
    """
    path = context.settings.principals_file()
    file = load_principals(path) if path.exists() else None
    identity = Identity(context.personal)

    async def declare() -> None:
        if file is not None:
            await identity.declare(file, context.store)

    return App(service=identity.service(), open=declare)
