"""A state as plain JSON, with no more of it than a recording knows."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from busbar.kernel.canonical import digest

DIGEST_CHARS = 16

RENAMED: Mapping[str, str] = {"taken_back": "reverted"}
"""Fields of states that have another name since they were recorded: the old name, the new one."""


@dataclass(slots=True)
class Shape:
    """The fields of every kind of state, by the place at which it stands.

    A field that a later release adds to a state does not change how an old stream is read, so what
    is compared are the fields that were there when the stream was recorded.
    """

    known: dict[str, list[str]] = field(default_factory=dict)
    recording: bool = False

    def plain(self, value: Any, place: str = "") -> Any:
        """``value`` in JSON's own types.

        Raises:
            TypeError: there is something in it that this does not know.
            AttributeError: it lacks a field that was recorded.
        """
        names = _fields(value)
        if names is not None:
            return {
                name: self.plain(getattr(value, RENAMED.get(name, name)), f"{place}.{name}")
                for name in self._of(place, names)
            }
        match value:
            case None | bool() | int() | float() | str():
                return value
            case UUID() | datetime():
                return str(value)
            case Mapping():
                return {str(key): self.plain(value[key], f"{place}.*") for key in value}
            case AbstractSet():
                return sorted((self.plain(item, f"{place}[]") for item in value), key=repr)
            case list() | tuple():
                return [self.plain(item, f"{place}[]") for item in value]
            case _:
                raise TypeError(f"no plain form of {type(value).__name__} at {place}")

    def _of(self, place: str, names: list[str]) -> list[str]:
        known = self.known.setdefault(place, names) if self.recording else self.known[place]
        return sorted(known)


def _fields(value: Any) -> list[str] | None:
    """The names of the fields of a named tuple, a dataclass or a model; None of anything else."""
    if isinstance(value, BaseModel):
        return list(type(value).model_fields)
    if is_dataclass(value) and not isinstance(value, type):
        return [one.name for one in fields(value)]
    names = getattr(value, "_fields", None)
    return list(names) if names is not None and isinstance(value, tuple) else None


def digests(states: Iterator[Any], shape: Shape) -> tuple[list[str], Any]:
    """A digest of the state after each event, and the last state in full."""
    found, last = [], None
    for state in states:
        last = shape.plain(state)
        found.append(digest(last).removeprefix("sha256:")[:DIGEST_CHARS])
    return found, last
