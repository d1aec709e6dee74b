"""Accepts intents, and projects facts into the views that clients read."""

from busbar.gateway.handlers.intake import AcceptResult, accept_intent
from busbar.gateway.handlers.kinds import (
    DEAD_LETTER,
    DEAD_LETTER_OF,
    DEAD_LETTER_OF_NONE,
    DEAD_LETTER_RECORD,
    DELIVERY,
    OF,
    OPERATION,
    OPERATION_BY,
    OPERATION_OF,
    OPERATION_OF_NONE,
    PRINCIPAL,
    PRINCIPAL_IN_TEAMS,
    PRINCIPAL_OF,
    RESOURCE,
    SUBSCRIPTION,
    UNDECIDED,
)
from busbar.gateway.handlers.projection import Gateway

__all__ = [
    "DEAD_LETTER",
    "DEAD_LETTER_OF",
    "DEAD_LETTER_OF_NONE",
    "DEAD_LETTER_RECORD",
    "DELIVERY",
    "OF",
    "OPERATION",
    "OPERATION_BY",
    "OPERATION_OF",
    "OPERATION_OF_NONE",
    "PRINCIPAL",
    "PRINCIPAL_IN_TEAMS",
    "PRINCIPAL_OF",
    "RESOURCE",
    "SUBSCRIPTION",
    "UNDECIDED",
    "AcceptResult",
    "Gateway",
    "accept_intent",
]
