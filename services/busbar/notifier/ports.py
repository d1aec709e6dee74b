"""What the notifier needs from outside: somebody who sends, and somebody who knows secrets."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from busbar.notifier.domain import Attempt, SecretProblem, WebhookSecret

__all__ = ["DEFAULT_TIMEOUT", "Attempt", "Secrets", "Sender", "UrlCheck", "WebhookRequest"]

DEFAULT_TIMEOUT: Final = 15.0
"""Seconds for a whole attempt, the response's body included (Standard Webhooks: 15 to 30)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRequest:
    """One POST. ``timeout`` is in seconds and covers everything from DNS to the last byte."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    timeout: float = DEFAULT_TIMEOUT


class Sender(Protocol):
    """Makes one attempt and never a second one."""

    async def send(self, request: WebhookRequest) -> Attempt:
        """POST ``request``; whatever the network or the receiver does is an outcome."""
        ...


class Secrets(Protocol):
    """Knows the secrets that subscriptions refer to."""

    async def webhook_secrets(
        self, ref: str, *, team: str
    ) -> tuple[WebhookSecret, ...] | SecretProblem:
        """The secrets of ``ref``, the current one first and then those that rotate out.

        They have to be ``team``'s own: who names another team's would sign in its name.
        """
        ...


UrlCheck = Callable[[str], str | None]
"""What is wrong with a URL as a subscription's target, or None."""
