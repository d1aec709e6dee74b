"""Reads webhook secrets from the secret store."""

from typing import Final

from busbar.kernel.errors import ConfigurationError
from busbar.notifier.domain import SecretProblem, WebhookSecret, unknown_secret
from busbar.runtime.secrets import SecretStore
from busbar.runtime.telemetry.logs import get_logger

log = get_logger()

_FORMAT: Final = "store whsec_ and base64, one secret a line"


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
            lines = stored.value.get_secret_value().split()
            found = tuple(WebhookSecret.parse(line) for line in lines)
        except ConfigurationError as error:
            log.warning("webhook_secret_unusable", reference=ref, problem=error.problem)
            return SecretProblem(
                "unusable_secret", f"{ref} cannot be used: {error.problem}", error.fix
            )
        return found or SecretProblem("unusable_secret", f"{ref} is empty", _FORMAT)
