"""Explains PyYAML's errors in plain English: the mistake, its place and its correction."""

import re
from dataclasses import dataclass
from typing import Any, Final

import yaml

from busbar.runtime.core.document import Position

_NEAR: Final = "correct it there or just before"
_NO_COLON: Final = ("there is no colon after the key", "write it as `key: value`")
_ITEM: Final = re.compile(r"\s*-\s")
_COLON: Final = re.compile(r":(\s|$)")


@dataclass(frozen=True, slots=True)
class _Meaning:
    """The meaning of errors that match ``pattern``; ``from_begin`` points to where it began."""

    pattern: str
    problem: str
    fix: str
    from_begin: bool = False


_MEANINGS: Final = (
    _Meaning(r"found character '\\t'", "a tab is used as indentation", "indent with spaces"),
    _Meaning(
        r"found character '(.)' that cannot start",
        "a text cannot begin with {}",
        "put the text in quotes",
    ),
    _Meaning(r"could not find expected ':'", *_NO_COLON, from_begin=True),
    _Meaning(
        r"found unexpected end of stream|found unexpected document separator",
        "a quote is not closed",
        "write the closing quote",
        from_begin=True,
    ),
    _Meaning(
        r"expected ',' or '\]'",
        "a list in brackets has no closing ] or lacks a comma",
        "write the items as [a, b]",
        from_begin=True,
    ),
    _Meaning(
        r"expected ',' or '\}'",
        "what is in braces has no closing } or lacks a comma or a colon",
        "write it as {a: 1, b: 2}",
        from_begin=True,
    ),
    _Meaning(r"expected <block end>, but found '[\]},]'", "a closing bracket is too many", _NEAR),
    _Meaning(
        r"expected <block end>",
        "this line does not continue the lines before it",
        "indent it like the other keys, or the other items of the list",
    ),
    _Meaning(
        r"sequence entries are not allowed here",
        "a list cannot begin behind a key on the same line",
        "begin each item on a line of its own",
    ),
    _Meaning(
        r"found unknown escape character",
        "a backslash in double quotes is followed by a character that has no meaning there",
        "write two backslashes, or use single quotes",
    ),
    _Meaning(
        r"expected '<document start>'",
        "a document ends here, and the next one does not begin with ---",
        "write --- between documents",
    ),
    _Meaning(
        r"expected chomping or indentation",
        "only a line break can follow | or >",
        "begin the text on the next line",
    ),
    _Meaning(r"expected the node content", "a value is missing", "write it, or remove a comma"),
    _Meaning(
        r"expected alphabetic|expected URI|did not find expected",
        "a text cannot begin with *, & or !",
        "put the text in quotes",
    ),
)


def explain(error: yaml.MarkedYAMLError, text: str) -> tuple[str, str, Position]:
    """Return what is wrong in ``text``, how to correct it, and where."""
    said = f"{error.problem or error.context}"
    mark = error.problem_mark or error.context_mark
    if "mapping values are not allowed" in said:
        return _second_colon(text.splitlines(), _position(mark))
    for meaning in _MEANINGS:
        found = re.search(meaning.pattern, said)
        if found is None:
            continue
        where = error.context_mark if meaning.from_begin and error.context_mark else mark
        problem = meaning.problem.replace("{}", found[found.re.groups])
        return problem, meaning.fix, _position(where)
    return f"it is not valid YAML: {said}", _NEAR, _position(mark)


def _second_colon(lines: list[str], at: Position) -> tuple[str, str, Position]:
    """Explain a colon inside of a value, which may have begun on an earlier line."""
    line = lines[at.line - 1]
    if _COLON.search(line[: at.column - 1]):
        return "a text that has a colon and a blank in it is not quoted", "put it in quotes", at
    before = at.line - 1
    while before > 1 and not lines[before - 1].strip():
        before -= 1
    previous = lines[before - 1] if before else ""
    if previous.strip() and not _COLON.search(previous) and not _ITEM.match(previous):
        column = len(previous) - len(previous.lstrip()) + 1
        return *_NO_COLON, Position(before, column)
    return (
        "this line is not indented like the one that it belongs to",
        "indent it like the other keys, or the other items of the list",
        at,
    )


def _position(mark: Any) -> Position:
    return Position(1, 1) if mark is None else Position(mark.line + 1, mark.column + 1)
