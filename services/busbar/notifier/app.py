"""Wires the notifier."""

from functools import partial

from busbar.kernel.errors import ConfigurationError
from busbar.notifier.domain import (
    RetryPolicy,
    SecretProblem,
    WebhookSecret,
    parse_networks,
    unknown_secret,
)
from busbar.notifier.handlers import Notifier
from busbar.notifier.sender import AiohttpSender, url_problem
from busbar.runtime.host.process import App, Context
from busbar.runtime.secrets import SecretStore, secrets_of
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()

_WRITE = "store whsec_ and base64, one secret a line"


class StoredSecrets:
    """Webhook secrets from the secret table: one a line, the current one first."""

    def __init__(self, store: SecretStore) -> None:
        """Read from ``store``."""
        self._store = store

    async def webhook_secrets(
        self, ref: str, *, team: str
    ) -> tuple[WebhookSecret, ...] | SecretProblem:
        """The secrets of ``ref`` if they are ``team``'s own and can be used.

        Raises:
            StoreAwayError: the secret table does not answer.
        """
        try:
            stored = await self._store.find(ref)
            if stored is None or stored.team != team:
                return unknown_secret(ref, team=team)
            lines = stored.value.get_secret_value().split()
            found = tuple(WebhookSecret.parse(line) for line in lines)
        except ConfigurationError as error:
            log.warning("webhook_secret_unusable", reference=ref, problem=error.problem)
            return SecretProblem(
                "unusable_secret", f"{ref} cannot be used: {error.problem}", error.fix
            )
        return found or SecretProblem("unusable_secret", f"{ref} holds nothing", _WRITE)


def create(context: Context) -> App:
    """The notifier with its guarded sender."""
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
