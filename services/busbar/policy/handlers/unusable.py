"""Denials of intents that cannot be used as they are: too large, unreadable, or with a bad time."""

from datetime import datetime
from typing import Any, Final

from busbar.kernel.ids import operation_id
from busbar.kernel.resource import ResourceId
from busbar.messages.base import Fact, IntentRef
from busbar.messages.caller import Caller
from busbar.messages.codec.attributes import read_time
from busbar.messages.envelope import Envelope, Unreadable
from busbar.messages.policy import Violation
from busbar.policy.domain import deny_invalid
from busbar.runtime.personal import Opened

INTENT_MAX_BYTES: Final = 256 * 1024
"""The largest intent, in bytes; the facts about an intent repeat its data."""


def repeatable(envelope: Envelope) -> Any:
    """Return the data of an intent for a fact to repeat, or None if they are too large."""
    return envelope.data if len(envelope.body) <= INTENT_MAX_BYTES else None


def unusable(envelope: Envelope, caller: Caller | None) -> list[Fact]:
    """Return the denial of an intent that is too large or has a bad attribute; else nothing."""
    if len(envelope.body) > INTENT_MAX_BYTES:
        return _too_large(envelope, caller)
    try:
        expiry_of(envelope)
    except Unreadable:
        return _bad_expiry(envelope, caller)
    return []


def _too_large(envelope: Envelope, caller: Caller | None) -> list[Fact]:
    violation = Violation(
        rule="size",
        message=f"the intent has {len(envelope.body)} bytes, {INTENT_MAX_BYTES} are allowed",
        fix="store large content elsewhere and refer to it",
    )
    return _invalid(envelope, violation, caller, requested=None)


def unreadable(envelope: Envelope, caller: Caller | None, opened: Opened) -> list[Fact]:
    """Return the denial of an intent with personal values that cannot be opened; else nothing."""
    if not opened.unreadable:
        return []
    violation = Violation(
        rule="personal",
        message=f"personal values of subject:{opened.unreadable[0]} cannot be read: they were "
        "erased, or sealed for another team",
        fix="send the values in clear",
        pointer="/spec",
    )
    return _invalid(envelope, violation, caller, requested=envelope.data)


def _bad_expiry(envelope: Envelope, caller: Caller | None) -> list[Fact]:
    violation = Violation(
        rule="expirytime",
        message="the attribute expirytime is not an RFC 3339 timestamp with an offset",
        fix="write it as in 2026-01-31T12:00:00Z, or leave it out",
    )
    return _invalid(envelope, violation, caller, requested=envelope.data)


def _invalid(
    envelope: Envelope, violation: Violation, caller: Caller | None, *, requested: object
) -> list[Fact]:
    return deny_invalid(
        operation=operation_id(envelope.source, envelope.id),
        intent=IntentRef.of(envelope),
        resource=ResourceId.named_in(envelope.data),
        requested=requested,
        violations=[violation],
        caller=caller,
    )


def expiry_of(envelope: Envelope) -> datetime | None:
    """Return when the intent expires, or None.

    Raises:
        Unreadable: the attribute is not a time.
    """
    text = envelope.extensions.get("expirytime")
    return read_time(text, name="expirytime") if text is not None else None
