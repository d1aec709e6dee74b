"""The expressions of a plan: ``${path.to.value}`` in the strings of a JSON tree.

A path starts at ``resource`` (``id``, ``team``, ``environment``, ``promise``, ``name``), ``spec``
or ``steps.<step>.<output>``; its segments are letters, digits, ``_`` and ``-``; a number picks an
item of a list. A string that is one expression keeps the value's type; in a longer string the
value has to be a scalar. ``$${`` writes a literal ``${``. Values are inserted as they are: an
expression inside a value is never evaluated. Keys hold no expressions.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from busbar.kernel import json_pointer

Path = tuple[str, ...]
"""The segments of an expression: ``("spec", "partitions")``."""

MAX_DEPTH: Final = 64
"""The maximum nesting of a tree; a deeper one is a mistake or an attack."""

RESOURCE_FIELDS: Final = ("id", "team", "environment", "promise", "name")

_STEP_PATH: Final = 3  # steps.<step>.<output>
_INDEX_DIGITS: Final = 9  # int() refuses thousands of digits, and no list is that long
_TOKEN = re.compile(r"\$\$\{|\$\{(?P<body>[^}]*)(?P<end>\})?")
_PATH = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
_CONDITION = re.compile(r"(?P<not>!?)\$\{(?P<body>[^}]*)\}")
_ABSENT: Final = object()


class TemplateError(ValueError):
    """A string that cannot be read or resolved.

    ``pointer`` is the JSON pointer of the string, ``fix`` says what to do.
    """

    def __init__(self, problem: str, *, fix: str, pointer: str = "") -> None:
        super().__init__(f"at {pointer or 'the root'}: {problem}; {fix}")
        self.problem = problem
        self.fix = fix
        self.pointer = pointer


@dataclass(frozen=True, slots=True)
class Reference:
    """One expression: the JSON pointer of the string it stands in, and its path."""

    pointer: str
    path: Path


@dataclass(frozen=True, slots=True)
class Template:
    """A tree whose expressions are known to be well-formed."""

    tree: Any
    references: tuple[Reference, ...]

    def resolve(self, scope: Mapping[str, Any]) -> Any:
        """Return the tree with every expression replaced; see :func:`resolve`."""
        return resolve(self.tree, scope)


@dataclass(frozen=True, slots=True)
class Condition:
    """A ``when``: the value at ``path`` is true, or, if ``negated``, absent or false."""

    path: Path
    negated: bool


class _BadTextError(ValueError):
    """A problem of one string, before its location is known."""

    def __init__(self, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.fix = fix


def parse(tree: Any) -> Template:
    """Read every string of ``tree``.

    Raises:
        TemplateError: a string is malformed, a key holds an expression, or the tree is too deep.
    """
    found: list[Reference] = []
    _collect(tree, (), found)
    return Template(tree=tree, references=tuple(found))


def references(tree: Any) -> frozenset[Path]:
    """Return the paths that ``tree`` refers to.

    Raises:
        TemplateError: as :func:`parse`.
    """
    return frozenset(reference.path for reference in parse(tree).references)


def resolve(tree: Any, scope: Mapping[str, Any]) -> Any:
    """Return ``tree`` with every expression replaced by its value in ``scope``.

    Containers of ``tree`` are rebuilt; values of ``scope`` are shared with it, not copied.

    Raises:
        TemplateError: as :func:`parse`, or a path has no value, or one that cannot be part of a
            longer string (null, an object, a list).
    """
    return _resolve(tree, scope, ())


def resolve_outputs(outputs: Mapping[str, str], scope: Mapping[str, Any]) -> dict[str, Any]:
    """Return the outputs of a plan, without those that refer to a step that was left out.

    Raises:
        TemplateError: as :func:`resolve`, for a step that did run.
    """
    ran = scope.get("steps", {})
    return {
        name: _resolve(expression, scope, (name,))
        for name, expression in outputs.items()
        if all(path[0] != "steps" or path[1] in ran for path in _paths(expression, (name,)))
    }


def parse_condition(expression: str) -> Condition:
    """Read a ``when``: ``${path}`` or ``!${path}``.

    Raises:
        TemplateError: it is neither.
    """
    match = _CONDITION.fullmatch(expression)
    if match is None:
        raise TemplateError(
            f"{_quote(expression)} is not a condition",
            fix="write one expression, ${spec.enabled}, or its opposite, !${spec.enabled}",
        )
    try:
        return Condition(path=_path(match["body"]), negated=bool(match["not"]))
    except _BadTextError as error:
        raise TemplateError(error.problem, fix=error.fix) from error


def truthy(expression: str, scope: Mapping[str, Any]) -> bool:
    """Return whether a ``when`` holds. Absent, null, false, 0 and empty are false; ``!`` negates.

    Raises:
        TemplateError: ``expression`` is not a condition; see :func:`parse_condition`.
    """
    condition = parse_condition(expression)
    value = _look_up(condition.path, scope)
    return (value is not _ABSENT and bool(value)) is not condition.negated


def escape(text: str) -> str:
    """Return ``text`` escaped, so that it resolves to itself."""
    return text.replace("${", "$${")


def _quote(text: str) -> str:
    return repr(text if len(text) <= MAX_DEPTH else text[:MAX_DEPTH] + "…")


def _path(body: str) -> Path:
    """Return the path inside ``${…}``, with a valid root."""
    if not _PATH.fullmatch(body):
        raise _BadTextError(
            f"{_quote('${' + body + '}')} is not an expression",
            "write a path such as ${spec.partitions}, of letters, digits, _ and -, joined by dots "
            "without blanks, or $${ for a literal ${",
        )
    path = tuple(body.split("."))
    match path[0]:
        case "spec":
            return path
        case "resource" if len(path) == 2 and path[1] in RESOURCE_FIELDS:  # noqa: PLR2004 - resource.<field>
            return path
        case "resource":
            fields = ", ".join(f"${{resource.{field}}}" for field in RESOURCE_FIELDS)
            raise _BadTextError(f"a resource has no {_quote(body)}", f"use one of {fields}")
        case "steps" if len(path) >= _STEP_PATH:
            return path
        case "steps":
            raise _BadTextError(
                f"{_quote(body)} names no output of a step", "write ${steps.<step>.<output>}"
            )
        case _:
            raise _BadTextError(
                f"{_quote(path[0])} is not something that an expression can start with",
                "start with resource, spec or steps",
            )


@lru_cache(maxsize=4096)
def _pieces(text: str) -> tuple[str | Path, ...]:
    """Return the literals (str) and expressions (paths) of ``text``, in order."""
    pieces: list[str | Path] = []
    position = 0
    for token in _TOKEN.finditer(text):
        if token.start() > position:
            pieces.append(text[position : token.start()])
        position = token.end()
        if token["body"] is None:
            pieces.append("${")
        elif token["end"] is None:
            raise _BadTextError(
                f"{_quote(token.group())} has no closing brace",
                "close it with }, or write $${ for a literal ${",
            )
        else:
            pieces.append(_path(token["body"]))
    if position < len(text):
        pieces.append(text[position:])
    return tuple(pieces)


def _read(text: str, at: Path) -> tuple[str | Path, ...]:
    if "${" not in text:
        return (text,)
    try:
        return _pieces(text)
    except _BadTextError as error:
        raise TemplateError(error.problem, fix=error.fix, pointer=json_pointer.join(at)) from error


def _paths(text: str, at: Path) -> list[Path]:
    return [piece for piece in _read(text, at) if isinstance(piece, tuple)]


def _children(tree: Any, at: Path) -> list[tuple[Path, Any, Any]]:
    """Return ``(location, key, value)`` of a container's members, after checking its bounds."""
    if len(at) >= MAX_DEPTH:
        raise TemplateError(
            f"the tree is nested more than {MAX_DEPTH} deep",
            fix="make it flatter",
            pointer=json_pointer.join(at),
        )
    if isinstance(tree, list):
        return [((*at, str(index)), index, value) for index, value in enumerate(tree)]
    for key in tree:
        if isinstance(key, str) and "${" in key:
            raise TemplateError(
                f"the key {_quote(key)} holds an expression",
                fix="use expressions in values only",
                pointer=json_pointer.join(at),
            )
    return [((*at, str(key)), key, value) for key, value in tree.items()]


def _collect(tree: Any, at: Path, found: list[Reference]) -> None:
    if isinstance(tree, str):
        found.extend(
            Reference(pointer=json_pointer.join(at), path=path) for path in _paths(tree, at)
        )
    elif isinstance(tree, dict | list):
        for place, _, value in _children(tree, at):
            _collect(value, place, found)


def _resolve(tree: Any, scope: Mapping[str, Any], at: Path) -> Any:
    if isinstance(tree, str):
        return _resolve_text(tree, scope, at)
    if isinstance(tree, dict):
        return {key: _resolve(value, scope, place) for place, key, value in _children(tree, at)}
    if isinstance(tree, list):
        return [_resolve(value, scope, place) for place, _, value in _children(tree, at)]
    return tree


def _resolve_text(text: str, scope: Mapping[str, Any], at: Path) -> Any:
    pieces = _read(text, at)
    if len(pieces) == 1 and isinstance(pieces[0], tuple):
        return _value(pieces[0], scope, at)
    return "".join(
        piece if isinstance(piece, str) else _scalar(piece, _value(piece, scope, at), at)
        for piece in pieces
    )


def _look_up(path: Path, scope: Mapping[str, Any]) -> Any:
    value: Any = scope
    for segment in path:
        if isinstance(value, Mapping) and segment in value:
            value = value[segment]
        elif _is_index(segment) and isinstance(value, list) and int(segment) < len(value):
            value = value[int(segment)]
        else:
            return _ABSENT
    return value


def _is_index(segment: str) -> bool:
    return len(segment) <= _INDEX_DIGITS and segment.isdigit()


def _value(path: Path, scope: Mapping[str, Any], at: Path) -> Any:
    value = _look_up(path, scope)
    if value is not _ABSENT:
        return value
    raise TemplateError(
        f"there is nothing at ${{{'.'.join(path)}}}",
        fix="give it a default, guard the step with when, or correct the path",
        pointer=json_pointer.join(at),
    )


def _scalar(path: Path, value: Any, at: Path) -> str:
    """Return ``value`` as a part of a longer string."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        try:
            return repr(value)
        except ValueError:  # an integer of thousands of digits; refused below
            pass
    kind = {type(None): "null", dict: "an object", list: "a list"}.get(type(value), "not a scalar")
    raise TemplateError(
        f"${{{'.'.join(path)}}} is {kind}, which cannot be part of a longer string",
        fix="use it as the whole string, or refer to text, a number or a boolean",
        pointer=json_pointer.join(at),
    )
