"""The request of one webhook attempt."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

DEFAULT_TIMEOUT_SECONDS: Final = 15.0
"""Limit for a whole attempt, the response's body included (Standard Webhooks: 15 to 30)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRequest:
    """One POST. ``timeout`` is in seconds and covers everything from DNS to the last byte."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    timeout: float = DEFAULT_TIMEOUT_SECONDS
