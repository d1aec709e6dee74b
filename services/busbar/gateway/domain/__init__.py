"""Decisions of the gateway, as pure functions: who asks, and whether an event is published."""

from busbar.gateway.domain.access import (
    ADMINISTRATOR,
    BadToken,
    ClaimedToken,
    forbidden_detail,
    identify,
    parse_token,
)
from busbar.gateway.domain.intake import AdmittedIntent, IntentRefused, admit, refuse

__all__ = [
    "ADMINISTRATOR",
    "AdmittedIntent",
    "BadToken",
    "ClaimedToken",
    "IntentRefused",
    "admit",
    "forbidden_detail",
    "identify",
    "parse_token",
    "refuse",
]
