"""The product's one YAML loader: JSON's values, the core schema of YAML 1.2, no surprises (ADR 19).

``yes``, ``on``, dates and ``1:30`` are text. Anchors, aliases, tags, directives, duplicate keys,
keys that are not text, numbers that JSON cannot hold and characters that YAML 1.1 and 1.2 read
differently are refused, each with its line and column. Every JSON document can be loaded.

Source: https://yaml.org/spec/1.2.2/#103-core-schema
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from busbar.kernel.text import truncate

MAX_BYTES: Final = 256 * 1024
"""The largest file, unless the caller allows more."""

MAX_DEPTH: Final = 64
"""The deepest nesting."""

MAX_VALUES: Final = 100_000
"""Values in one document: far more than an event of 1 MB holds."""

_MAX_DIGITS: Final = 400
_INT64: Final = 2**63

_CONSTANTS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"(?P<ten>[-+]?[0-9]+)|0o(?P<eight>[0-7]+)|0x(?P<sixteen>[0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_BASES: Final = {"ten": 10, "eight": 8, "sixteen": 16}

# Besides what is not printable: the three line breaks that YAML 1.2 took back (NEL, LS and PS).
_REFUSED = re.compile(
    "[^\t\n\r\x20-\x7f\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)

Place = tuple[str | int, ...]
"""A place in a document: keys and indexes."""


@dataclass(frozen=True, slots=True)
class Position:
    """A position in a text, counted from 1; columns count characters."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


class InvalidYamlError(ValueError):
    """A text that cannot be loaded: what is wrong, where, and what to do about it."""

    def __init__(self, problem: str, *, fix: str, position: Position | None = None) -> None:
        super().__init__(f"{position}: {problem} ({fix})" if position else f"{problem} ({fix})")
        self.problem = problem
        self.fix = fix
        self.position = position


@dataclass(frozen=True, slots=True)
class _Mark:
    """The position of a value, or of its key, and the marks of what is inside it."""

    position: Position
    inside: dict[str, "_Mark"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """The data of one document, and where they are in its text."""

    data: Any
    _root: _Mark = field(repr=False)

    def position_of(self, place: Place) -> Position:
        """Return the position of ``place``, or of its innermost parent that is there."""
        mark = self._root
        for part in place:
            inside = mark.inside.get(str(part))
            if inside is None:
                break
            mark = inside
        return mark.position


def read(path: Path) -> Document:
    """Load the only document of the file at ``path``.

    Raises:
        InvalidYamlError: the file cannot be read, is too large, or cannot be loaded.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidYamlError(
            f"it cannot be read ({error.strerror})", fix="make it a readable file"
        ) from error
    if len(content) > MAX_BYTES:
        raise _too_large(MAX_BYTES)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise InvalidYamlError("it is not UTF-8", fix="save it as UTF-8") from error
    return load(text)


def load(text: str) -> Document:
    """Load the only document in ``text``.

    Raises:
        InvalidYamlError: ``text`` is empty, or not one document as above.
    """
    documents = load_all(text)
    if not documents or (len(documents) == 1 and documents[0].data is None):
        raise InvalidYamlError("it is empty", fix="write something into it")
    if len(documents) > 1:
        raise InvalidYamlError(
            "it holds more than one document",
            fix="remove the line --- and put the rest into a file of its own",
            position=documents[1].position_of(()),
        )
    return documents[0]


def load_all(text: str, *, max_bytes: int = MAX_BYTES) -> list[Document]:
    """Load the documents in ``text``, separated by ``---``; an empty one is None.

    Raises:
        InvalidYamlError: ``text`` is too large, or one of its documents cannot be loaded.
    """
    if len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise _too_large(max_bytes)
    if refused := _REFUSED.search(text):
        raise InvalidYamlError(
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
        raise InvalidYamlError(
            f"it is not valid YAML: {error.problem or error.context}",
            fix="correct it there or just before",
            position=_position(error.problem_mark or error.context_mark),
        ) from error
    except (ValueError, OverflowError) as error:
        raise InvalidYamlError(
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
            yield Document(data=data, _root=mark)


@dataclass(slots=True)
class _Builder:
    """Builds the data of one document from its events."""

    events: Iterator[yaml.Event]
    values: int = 0

    def build(self, event: yaml.Event, at: Position, *, depth: int) -> tuple[Any, _Mark]:
        """Return the value that starts with ``event``; ``at`` is where people look for it."""
        self.values += 1
        if self.values > MAX_VALUES:
            raise _refused(event, f"it holds more than {MAX_VALUES} values", "split it")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _refused(event, "anchors and aliases are not read", "write the value out")
        if getattr(event, "tag", None) is not None:
            raise _refused(event, "tags are not read", "remove the tag, or quote the text")
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event), _Mark(at)
        if depth >= MAX_DEPTH:
            raise _refused(event, f"it is nested more than {MAX_DEPTH} deep", "make it flatter")
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(at, depth=depth)
        return self._mapping(at, depth=depth)

    def _sequence(self, at: Position, *, depth: int) -> tuple[list[Any], _Mark]:
        items: list[Any] = []
        mark = _Mark(at)
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            value, inside = self.build(event, _position(event.start_mark), depth=depth + 1)
            mark.inside[str(len(items))] = inside
            items.append(value)
        return items, mark

    def _mapping(self, at: Position, *, depth: int) -> tuple[dict[str, Any], _Mark]:
        members: dict[str, Any] = {}
        mark = _Mark(at)
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            # A value can start lines after its key; people look for the key.
            key_at = _position(event.start_mark)
            key = self._key(event, key_at, depth=depth)
            if key in members:
                raise _refused(event, f"the key {_shown(key)} is there twice", "remove one of them")
            members[key], mark.inside[key] = self.build(next(self.events), key_at, depth=depth + 1)
        return members, mark

    def _key(self, event: yaml.Event, at: Position, *, depth: int) -> str:
        if not isinstance(event, yaml.CollectionStartEvent):
            key, _ = self.build(event, at, depth=depth)
            if isinstance(key, str):
                return key
            raise _refused(event, f"the key {_shown(key)} is not text", "quote it")
        raise _refused(event, "a list or a mapping is used as a key", "use text as the key")


def _scalar(event: yaml.ScalarEvent) -> Any:
    text: str = event.value
    if not event.implicit[0]:  # quoted, or a block of text
        return _joined(event, text)
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if whole := _INTEGER.fullmatch(text):
        return _integer(event, whole)
    if _NOT_FINITE.fullmatch(text):
        raise _refused(event, f"{text} is not a number in JSON", "quote it to mean text")
    if not _FLOAT.fullmatch(text):
        return text
    number = float(text)
    if not math.isfinite(number):
        raise _refused(event, f"the number {_shown(text)} is too large", "quote it to mean text")
    return number


def _integer(event: yaml.ScalarEvent, whole: re.Match[str]) -> int:
    kind = str(whole.lastgroup)
    number = int(whole[kind], _BASES[kind]) if len(whole[0]) <= _MAX_DIGITS else _INT64
    if not -_INT64 <= number < _INT64:
        raise _refused(
            event,
            f"the number {_shown(whole[0])} does not fit into 64 bits",
            "quote it to mean text",
        )
    return number


def _joined(event: yaml.ScalarEvent, text: str) -> str:
    r"""Return ``text`` with JSON's surrogate pairs (``\ud83d\ude00``) joined to characters."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise _refused(event, "half of a surrogate pair is missing", "write both halves") from error


def _refused(event: yaml.Event, problem: str, fix: str) -> InvalidYamlError:
    return InvalidYamlError(problem, fix=fix, position=_position(event.start_mark))


def _too_large(max_bytes: int) -> InvalidYamlError:
    return InvalidYamlError(
        f"it is larger than {max_bytes // 1024} kB", fix="split it into several files"
    )


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
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004 - four digits end here


def _shown(value: Any) -> str:
    return truncate(repr(value))
