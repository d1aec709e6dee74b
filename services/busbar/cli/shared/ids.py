"""Ids on the command line."""

from uuid import UUID

from busbar.cli.shared.exits import usage
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


def operation_id(text: str) -> str:
    """Return the id of an operation.

    Raises:
        CommandError: it is not one.
    """
    try:
        return str(UUID(text))
    except ValueError as error:
        fix = "Write its UUID; `busbar get operations` lists them."
        raise usage(f"{text!r} is not the id of an operation.", fix=fix) from error
