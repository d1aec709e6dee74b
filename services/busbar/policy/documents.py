"""YAML as promises and rules are written: JSON's values, and nothing that surprises.

No aliases (a few lines of them can stand for gigabytes), no tags, no duplicate keys, keys are
text, and ``yes``, ``on``, dates and ``1:30`` are text too (YAML 1.2's core schema, less NaN and
infinity: https://yaml.org/spec/1.2.2/#103-core-schema). One file holds one document.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from busbar.policy.domain.words import Place, shorten

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 40

_CONSTANTS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_MAX_DIGITS: Final = 18  # what surely fits into 64 bits


class UnreadableDocumentError(ValueError):
    """A file that is no such YAML; ``line`` counts from 1, None if no line is to blame."""

    def __init__(self, problem: str, *, fix: str, line: int | None = None) -> None:
        """Say the ``problem`` and the ``fix``."""
        super().__init__(f"{problem}; {fix}")
        self.problem = problem
        self.fix = fix
        self.line = line


@dataclass(frozen=True, slots=True)
class Document:
    """The data of a file, and where they stand in it."""

    data: Any
    _root: yaml.Node

    def line_of(self, place: Place) -> int:
        """The line, from 1, of what is at ``place``, or of the last thing on the way there."""
        node = self._root
        line = node.start_mark.line
        for part in place:
            child = _child(node, part)
            if child is None:
                break
            # A value can start lines after its key; people look for the key.
            line, node = child
        return line + 1


def read(path: Path) -> Document:
    """The document in the file at ``path``.

    Raises:
        UnreadableDocumentError: it cannot be read, is too large, or is not YAML as above.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnreadableDocumentError(
            f"it cannot be read ({error.strerror})", fix="make it a readable file"
        ) from error
    if len(content) > MAX_BYTES:
        raise UnreadableDocumentError(
            f"it is larger than {MAX_BYTES // 1024} kB", fix="split it into several files"
        )
    try:
        return parse(content.decode())
    except UnicodeDecodeError as error:
        raise UnreadableDocumentError("it is not UTF-8", fix="save it as UTF-8") from error


def parse(text: str) -> Document:
    """The document that ``text`` is.

    Raises:
        UnreadableDocumentError: as :func:`read`.
    """
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise UnreadableDocumentError("a character is not allowed", fix="remove it") from error
    try:
        root = loader.get_single_node()
        if root is None:
            raise UnreadableDocumentError("it is empty", fix="write a promise or rules into it")
        return Document(data=_value(root), _root=root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise UnreadableDocumentError(
            f"it is not valid YAML: {error.problem or error.context}",
            fix="correct it there or just before",
            line=mark.line + 1 if mark else None,
        ) from error
    except yaml.YAMLError as error:
        raise UnreadableDocumentError("a character is not allowed", fix="remove it") from error
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """Composes nodes; scalars are read by :func:`_scalar`, so nothing is resolved here."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """One node, once it is known to be no alias and not too deep."""
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call] # the stub has no types here
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _refused(event, "anchors and aliases are not read", "write the value out")
        if getattr(event, "tag", None) is not None:
            raise _refused(event, "tags are not read", "leave the tag out, or quote the text")
        if self.depth >= MAX_DEPTH:
            raise _refused(event, f"it is nested more than {MAX_DEPTH} deep", "make it flatter")
        self.depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _refused(at: yaml.Event | yaml.Node, problem: str, fix: str) -> UnreadableDocumentError:
    mark = at.start_mark
    return UnreadableDocumentError(problem, fix=fix, line=mark.line + 1 if mark else None)


def _value(node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(child) for child in node.value]
    return _scalar(node)


def _mapping(node: yaml.MappingNode) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = _value(key_node)
        if not isinstance(key, str):
            raise _refused(key_node, f"the key {key!r} is not text", "quote it")
        if key in result:
            raise _refused(key_node, f"the key {key!r} is there twice", "remove one of them")
        result[key] = _value(value_node)
    return result


def _scalar(node: yaml.Node) -> Any:
    text = str(node.value)
    if isinstance(node, yaml.ScalarNode) and node.style is not None:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    whole = _INTEGER.fullmatch(text)
    if not whole and not _FLOAT.fullmatch(text):
        return text
    number = int(text) if whole and len(text) <= _MAX_DIGITS else float(text)
    if (whole and isinstance(number, float)) or not math.isfinite(number):
        raise _refused(node, f"the number {shorten(text)} is too large", "quote it to mean text")
    return number


def _child(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                return key.start_mark.line, value
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        child = node.value[part]
        return child.start_mark.line, child
    return None
