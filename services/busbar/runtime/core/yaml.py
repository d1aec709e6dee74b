"""The product's one YAML loader: JSON's values, what YAML 1.1 and 1.2 read alike (ADR 19, 29).

Plain scalars that the versions read differently (``yes``, ``010``, dates, ``1:30``) are refused:
``yaml_scalars`` says which. Anchors, aliases, tags, directives, duplicate keys, keys that are not
text, numbers that JSON cannot hold and characters that the versions read differently are refused
as well, each with its line and column.

Source: https://yaml.org/spec/1.2.2/#103-core-schema
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from busbar.runtime.core.document import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_VALUES,
    Document,
    InvalidDocumentError,
    Mark,
    Position,
    shown,
    too_large,
)
from busbar.runtime.core.yaml_errors import explain
from busbar.runtime.core.yaml_scalars import value_of

_LAST_OF_FOUR_DIGITS: Final = 0xFFFF

# Besides what is not printable: the three line breaks that YAML 1.2 took back (NEL, LS and PS).
_REFUSED = re.compile(
    "[^\t\n\r\x20-\x7f\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)


def load_all(text: str, *, max_bytes: int = MAX_BYTES) -> list[Document]:
    """Load the documents in ``text``, separated by ``---``; an empty one is None.

    Raises:
        InvalidDocumentError: ``text`` is too large, or one of its documents cannot be loaded.
    """
    if len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise too_large(max_bytes)
    if refused := _REFUSED.search(text):
        raise InvalidDocumentError(
            f"the character U+{ord(refused[0]):04X} is not allowed",
            fix=f'remove it, or write it in double quotes as "{_escaped(refused[0])}"',
            position=_position_at(text, refused.start()),
        )
    return list(_documents(_events(text)))


class _Parser(yaml.SafeLoader):
    """PyYAML's parser of events; nothing else of the loader is used."""

    NON_PRINTABLE = _REFUSED  # type: ignore[misc]  # the stub calls it final

    def scan_to_next_token(self) -> None:
        """Pass over blanks; between brackets also over tabs, as JSON has them."""
        super().scan_to_next_token()
        while self.flow_level and self.peek() == "\t":
            self.forward()
            super().scan_to_next_token()


def _events(text: str) -> Iterator[yaml.Event]:
    parser = _Parser(text)
    try:
        while parser.check_event():
            yield parser.get_event()  # type: ignore[no-untyped-call]  # the stub has no types here
    except yaml.MarkedYAMLError as error:
        problem, fix, position = explain(error, text)
        raise InvalidDocumentError(problem, fix=fix, position=position) from error
    except (ValueError, OverflowError) as error:
        raise InvalidDocumentError(
            "it is not valid YAML: a number or an escaped character is out of range",
            fix="correct it there or just before",
            position=_position(parser.get_mark()),
        ) from error
    finally:
        parser.dispose()


def _documents(events: Iterator[yaml.Event]) -> Iterator[Document]:
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            if event.version or event.tags:
                raise _refused(
                    event, "directives are not read", "remove the lines that start with %"
                )
            builder = _Builder(events)
            first = next(events)
            data, mark = builder.build(first, _position(first.start_mark), depth=0)
            yield Document(data=data, root=mark)


@dataclass(slots=True)
class _Builder:
    """Builds the data of one document from its events."""

    events: Iterator[yaml.Event]
    values: int = 0

    def build(self, event: yaml.Event, at: Position, *, depth: int) -> tuple[Any, Mark]:
        """Return the value that starts with ``event``; ``at`` is where people look for it."""
        self.values += 1
        if self.values > MAX_VALUES:
            raise _refused(event, f"it holds more than {MAX_VALUES} values", "split it")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _refused(event, "anchors and aliases are not read", "write the value out")
        if getattr(event, "tag", None) is not None:
            raise _refused(event, "tags are not read", "remove the tag, or quote the text")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event), Mark(at)
        if depth >= MAX_DEPTH:
            raise _refused(event, f"it is nested more than {MAX_DEPTH} deep", "make it flatter")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(at, depth=depth)
        return self._mapping(at, depth=depth)

    def _sequence(self, at: Position, *, depth: int) -> tuple[list[Any], Mark]:
        items: list[Any] = []
        mark = Mark(at)
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            value, inside = self.build(event, _position(event.start_mark), depth=depth + 1)
            mark.inside[str(len(items))] = inside
            items.append(value)
        return items, mark

    def _mapping(self, at: Position, *, depth: int) -> tuple[dict[str, Any], Mark]:
        members: dict[str, Any] = {}
        mark = Mark(at)
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            # A value can start lines after its key; people look for the key.
            key_at = _position(event.start_mark)
            key = self._key(event, key_at, depth=depth)
            if key in members:
                raise _refused(event, f"the key {shown(key)} is there twice", "remove one of them")
            members[key], mark.inside[key] = self.build(next(self.events), key_at, depth=depth + 1)
        return members, mark

    def _key(self, event: yaml.Event, at: Position, *, depth: int) -> str:
        if not isinstance(event, yaml.CollectionStartEvent):
            key, _ = self.build(event, at, depth=depth)
            if isinstance(key, str):
                return key
            raise _refused(event, f"the key {shown(key)} is not text", "quote it")
        raise _refused(event, "a list or a mapping is used as a key", "use text as the key")


def _scalar(event: yaml.ScalarEvent) -> Any:
    text: str = event.value
    if not event.implicit[0]:  # quoted, or a block of text
        return _joined(event, text)
    return value_of(text, _position(event.start_mark))


def _joined(event: yaml.ScalarEvent, text: str) -> str:
    r"""Return ``text`` with JSON's surrogate pairs (``\ud83d\ude00``) joined to characters."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise _refused(event, "half of a surrogate pair is missing", "write both halves") from error


def _refused(event: yaml.Event, problem: str, fix: str) -> InvalidDocumentError:
    return InvalidDocumentError(problem, fix=fix, position=_position(event.start_mark))


def _position(mark: Any) -> Position:
    return Position(1, 1) if mark is None else Position(mark.line + 1, mark.column + 1)


def _position_at(text: str, index: int) -> Position:
    lines: Iterable[str] = text[:index].splitlines(keepends=True) or [""]
    *before, last = lines
    if last.endswith(("\n", "\r")):
        return Position(len(before) + 2, 1)
    return Position(len(before) + 1, len(last) + 1)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= _LAST_OF_FOUR_DIGITS else f"\\U{code:08x}"
