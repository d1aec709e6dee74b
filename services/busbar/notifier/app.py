"""Wires the notifier."""

from functools import partial

from busbar.notifier.adapters.secrets import StoredSecrets
from busbar.notifier.adapters.sender import AiohttpSender, url_problem
from busbar.notifier.domain import RetryPolicy, parse_networks
from busbar.notifier.handlers import Notifier
from busbar.runtime.host.process import App, Context
from busbar.runtime.secrets import secrets_of


def create(context: Context) -> App:
    """Return the notifier with its guarded sender."""
    settings = context.settings
    networks = parse_networks(settings.webhook_allow_networks)
    secrets = secrets_of(settings, cipher=context.cipher, clock=context.clock)
    sender = AiohttpSender(allow_networks=networks)
    notifier = Notifier(
        sender,
        StoredSecrets(secrets),
        url_problem=partial(url_problem, allow_networks=networks),
        policy=RetryPolicy(delays=tuple(settings.webhook_retry_seconds)),
        clock=context.clock,
    )

    async def close() -> None:
        await sender.close()
        await secrets.close()

    return App(service=notifier.service(), open=secrets.connect, close=close)
