"""The fields of a spec that are personal, as the schema of a promise marks them.

``x-busbar-personal: true`` marks a string that names a person, as an e-mail address does: its
value is the subject. ``x-busbar-personal: contact`` marks a string about the person whom the
string ``contact`` beside it names.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from busbar.kernel.json_schema import JsonObject, Place, first, properties_of
from busbar.kernel.personal import sealed_text

MARK: Final = "x-busbar-personal"

MAX_LEVELS: Final = 64
MAX_SCHEMAS: Final = 10_000
"""Bounds of the search; a schema that exceeds them is refused as too large anyway."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A personal field: its path, in which None is each item or each other property.

    ``subject`` is the name of the field beside it that names the person; None is the field itself.
    """

    path: tuple[str | None, ...]
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class PersonalValue:
    """A personal value in a spec, its place, and the text that names the person.

    ``text`` is None if the value is not a string, which no schema allows there.
    """

    place: Place
    text: str | None
    subject: str


def marks_of(schema: JsonObject) -> tuple[Mark, ...]:
    """Return the personal fields of ``schema``, whose references point into itself."""
    return tuple(_Search(schema).marks(schema, ()))


class _Search:
    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._left = MAX_SCHEMAS

    def marks(self, schema: Any, path: tuple[str | None, ...]) -> Iterator[Mark]:
        self._left -= 1
        if not isinstance(schema, dict) or len(path) > MAX_LEVELS or self._left < 0:
            return
        if (mark := first(MARK, schema, self._root)) and path:
            yield Mark(path, mark[0] if isinstance(mark[0], str) else None)
        for name, child in properties_of(schema, self._root).items():
            yield from self.marks(child, (*path, name))
        for keyword in ("items", "additionalProperties", "unevaluatedProperties"):
            if child := first(keyword, schema, self._root):
                yield from self.marks(child[0], (*path, None))


def personal_values(spec: Any, marks: Sequence[Mark]) -> Iterator[PersonalValue]:
    """Yield the personal values of ``spec`` that are in clear, each once."""
    seen: set[Place] = set()
    for mark in marks:
        *above, last = mark.path
        for place, container in _containers(spec, tuple(above), ()):
            for at, value in _members(container, last):
                if (*place, at) in seen or value is None or sealed_text(value) is not None:
                    continue
                seen.add((*place, at))
                text = value if isinstance(value, str) else None
                yield PersonalValue((*place, at), text, _subject(container, mark, text or ""))


def _subject(container: Any, mark: Mark, text: str) -> str:
    named = container.get(mark.subject) if isinstance(container, dict) and mark.subject else None
    return named if isinstance(named, str) and named.strip() else text


def _containers(
    value: Any, path: tuple[str | None, ...], place: Place
) -> Iterator[tuple[Place, Any]]:
    if not path:
        yield place, value
        return
    for at, child in _members(value, path[0]):
        yield from _containers(child, path[1:], (*place, at))


def _members(value: Any, name: str | None) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, dict):
        if name is not None:
            yield from [(name, value[name])] if name in value else []
        else:
            yield from value.items()
    elif isinstance(value, list) and name is None:
        yield from enumerate(value)
