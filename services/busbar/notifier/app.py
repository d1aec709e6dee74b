"""Wires the notifier."""

from functools import partial

from busbar.kernel.errors import ConfigurationError, Reject
from busbar.notifier.domain import RetryPolicy, WebhookSecret, parse_networks
from busbar.notifier.handlers import Notifier
from busbar.notifier.sender import AiohttpSender, url_problem
from busbar.runtime.logs import get_logger
from busbar.runtime.process import App, Context
from busbar.runtime.secrets import SecretFolder

log = get_logger()


class FolderSecrets:
    """Webhook secrets from the secret folder: one a line, the current one first."""

    def __init__(self, folder: SecretFolder) -> None:
        """Read from ``folder``."""
        self._folder = folder

    def webhook_secrets(self, ref: str) -> tuple[WebhookSecret, ...] | None:
        """The secrets of ``ref``, or None if there are none that can be used."""
        try:
            stored = self._folder.get(ref)
            if stored is None:
                return None
            lines = stored.get_secret_value().split()
            return tuple(WebhookSecret.parse(line) for line in lines) or None
        except (ConfigurationError, Reject, ValueError) as error:
            log.warning("webhook_secret_unusable", reference=ref, error=type(error).__name__)
            return None


def create(context: Context) -> App:
    """The notifier with its guarded sender."""
    settings = context.settings
    networks = parse_networks(settings.webhook_allow_networks)
    sender = AiohttpSender(allow_networks=networks)
    notifier = Notifier(
        sender,
        FolderSecrets(SecretFolder(settings.home / "secrets")),
        url_problem=partial(url_problem, allow_networks=networks),
        policy=RetryPolicy(delays=tuple(settings.webhook_retry_seconds)),
        clock=context.clock,
    )
    return App(service=notifier.service(), close=sender.close)
