"""Ids on the command line."""

import re
from typing import Final
from uuid import UUID

from busbar.cli.shared.exits import usage
from busbar.kernel.ids import record_operation
from busbar.kernel.resource import ResourceId

RESOURCE_FIX = "Write team/environment/promise/name; `busbar get` lists them."


def resource_id(text: str) -> str:
    """Return the id of a resource.

    Raises:
        CommandError: it is not one.
    """
    try:
        return str(ResourceId.parse(text))
    except ValueError as error:
        raise usage(f"{text!r} is not the id of a resource.", fix=RESOURCE_FIX) from error


def subscription_id(text: str) -> str:
    """Return the id of a subscription.

    Raises:
        CommandError: it is not one.
    """
    team, _, name = text.partition("/")
    if not team or not name or "/" in name:
        fix = "Write team/name; `busbar subscription list` lists them."
        raise usage(f"{text!r} is not the id of a subscription.", fix=fix)
    return text


def resource_or_operation_id(text: str) -> str:
    """Return the id of a resource, or that of an operation.

    Raises:
        CommandError: it is neither.
    """
    if found := operation_of_record(text):
        return found
    if "/" in text:
        return resource_id(text)
    try:
        return str(UUID(text))
    except ValueError as error:
        raise usage(
            f"{text!r} is the id neither of a resource nor of an operation.",
            fix="Write team/environment/promise/name, or the UUID of an operation; `busbar get` and"
            " `busbar get operations` list them.",
        ) from error


def operation_id(text: str) -> str:
    """Return the id of an operation.

    Raises:
        CommandError: it is not one.
    """
    if found := operation_of_record(text):
        return found
    try:
        return str(UUID(text))
    except ValueError as error:
        fix = "Write its UUID; `busbar get operations` lists them."
        raise usage(f"{text!r} is not the id of an operation.", fix=fix) from error


_PLACE: Final = re.compile(r"(busbar\.intents\.[a-z-]+)/([0-9]{1,9})/([0-9]{1,18})")


def operation_of_record(text: str) -> str | None:
    """Return the operation of the refused intent at topic/partition/offset; None for other text."""
    place = _PLACE.fullmatch(text)
    if place is None:
        return None
    topic, partition, offset = place.groups()
    return str(record_operation(topic, int(partition), int(offset)))
