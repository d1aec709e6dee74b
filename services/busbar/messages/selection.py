"""Which team a fact is about, and which types a pattern selects."""

import re
from collections.abc import Mapping
from typing import Any, Final

from busbar.kernel.resource import SLUG

_TEAM: Final = re.compile(SLUG)
_PARTS: Final = re.compile(f"({SLUG})(?:(?:/{SLUG}){{3}}|/{SLUG})")
"""The ordering key of a resource or a subscription."""


def team_of(resource: str | None, data: Mapping[str, Any] | None = None) -> str | None:
    """Return the team that a fact is about, or None.

    It is read from the resource; else from the data's ``subscription`` (``team/name``), its
    ``team``, or the ``team`` of the ``requested`` intent (a denial that names no resource).
    """
    if resource is not None:
        return _first_part(resource)
    known = data or {}
    named = known.get("subscription")
    if isinstance(named, str):
        return _first_part(named)
    requested = known.get("requested")
    team = known.get("team", requested.get("team") if isinstance(requested, Mapping) else None)
    return team if isinstance(team, str) and team else None


def owner_of(resource: str | None, data: object) -> str | None:
    """Return the resource that an event is about, else the team that may read it and a slash.

    Everything that belongs to one team begins with it and a slash, so that it can be selected. A
    record that waits for an ordering key belongs to the team in that key. None is what belongs to
    no team.
    """
    if resource is not None:
        return resource
    known = data if isinstance(data, dict) else {}
    team = team_of(None, known) or team_in(known.get("ordering_key"))
    return f"{team}/" if team and _TEAM.fullmatch(team) else None


def team_of_owner(owner: str | None) -> str | None:
    """Return the team in what :func:`owner_of` returns."""
    return _first_part(owner) if owner else None


def team_in(key: object) -> str | None:
    """Return the team of the resource or subscription that ``key`` is the id of, or None."""
    found = _PARTS.fullmatch(key) if isinstance(key, str) else None
    return found[1] if found else None


def _first_part(name: str) -> str | None:
    return name.partition("/")[0] or None


def type_matches(pattern: str, type_: str) -> bool:
    """Return whether ``type_`` matches ``pattern``, in which ``*`` is any run of characters.

    It takes linear time. Patterns come from users, and a regular expression could take
    exponential time on one with many stars.
    """
    head, *middle = pattern.split("*")
    if not middle:
        return pattern == type_
    tail = middle.pop()
    position, end = len(head), len(type_) - len(tail)
    if position > end or not type_.startswith(head) or not type_.endswith(tail):
        return False
    for part in middle:
        found = type_.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True
