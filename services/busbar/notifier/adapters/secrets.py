"""Reads webhook secrets from the secret store."""

from busbar.kernel.errors import ConfigurationError
from busbar.kernel.webhook_secret import parse_webhook_keys
from busbar.notifier.domain import SecretProblem, WebhookSecret, unknown_secret
from busbar.runtime.secrets import SecretStore
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()


class StoredSecrets:
    """Webhook secrets in ``store``: one per line, the current one first."""

    def __init__(self, store: SecretStore) -> None:
        self._store = store

    async def webhook_secrets(
        self, ref: str, *, team: str
    ) -> tuple[WebhookSecret, ...] | SecretProblem:
        """Return the secrets of ``ref`` if they are owned by ``team`` and usable.

        Raises:
            StoreUnavailable: the secret store is unreachable.
        """
        try:
            stored = await self._store.find(ref)
            if stored is None or stored.team != team:
                return unknown_secret(ref, team=team)
            keys = parse_webhook_keys(stored.value.get_secret_value())
        except ConfigurationError as error:
            log.warning("webhook_secret_unusable", reference=ref, problem=error.problem)
            return SecretProblem(
                "unusable_secret", f"{ref} cannot be used: {error.problem}", error.fix
            )
        return tuple(WebhookSecret(key) for key in keys)
