"""Just enough Markdown: code, links and headings."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^ {0,3}(?P<fence>`{3,}|~{3,})(?P<language>[^\s`]*)[ \t]*(?P<info>[^`]*)$")
_HIDDEN = re.compile(
    r"^<!-- (?P<language>\w+) (?P<info>\{[^\n]*\})\n(?P<code>.*?)^-->$", re.MULTILINE | re.DOTALL
)
_INLINE = re.compile(r"(?<!`)`(?P<code>[^`\n]+)`(?!`)")
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)(?:\s+\"[^\"]*\")?\)")
_REFERENCE = re.compile(r"^\[[^\]]+\]:\s+(?P<target>\S+)")
_HEADING = re.compile(r"^(?P<level>#{1,6})\s+(?P<title>.+?)\s*#*$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language, its first line's number, its text, the rest of its fence."""

    language: str
    line: int
    code: str
    info: str = ""


def blocks(text: str) -> list[Block]:
    """The fenced blocks; an unclosed one runs to the end, as in a browser."""
    found: list[Block] = []
    fence, language, info, start = "", "", "", 0
    inside: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = _FENCE.match(line)
        if not fence and match:
            fence, language, info = match["fence"], match["language"], match["info"].strip()
            start, inside = number + 1, []
        elif fence and line.strip() and set(line.strip()) == {fence[0]} and fence in line:
            found.append(Block(language, start, textwrap.dedent("\n".join(inside)), info))
            fence = ""
        elif fence:
            inside.append(line)
    if fence:
        found.append(Block(language, start, "\n".join(inside), info))
    return found


def hidden_blocks(text: str) -> list[Block]:
    """Blocks in HTML comments, which readers do not see: ``<!-- sh {run=platform}``."""
    return [
        Block(
            match["language"],
            text.count("\n", 0, match.start("code")) + 1,
            match["code"],
            match["info"],
        )
        for match in _HIDDEN.finditer(text)
    ]


def prose(text: str) -> Iterator[tuple[int, str]]:
    """The numbered lines that stand outside fenced blocks."""
    hidden = {
        number
        for block in blocks(text)
        for number in range(block.line - 1, block.line + block.code.count("\n") + 2)
    }
    for number, line in enumerate(text.splitlines(), start=1):
        if number not in hidden:
            yield number, line


def inline_code(text: str) -> Iterator[tuple[int, str]]:
    """The numbered pieces of ``code`` within prose."""
    for number, line in prose(text):
        for match in _INLINE.finditer(line):
            yield number, match["code"]


def links(text: str) -> Iterator[tuple[int, str]]:
    """The numbered targets of links and images."""
    for number, line in prose(text):
        bare = _INLINE.sub("", line)
        for match in (*_LINK.finditer(bare), *_REFERENCE.finditer(bare)):
            yield number, match["target"]


def headings(text: str) -> list[tuple[int, str]]:
    """Level and title of every heading."""
    matches = (_HEADING.match(line) for _, line in prose(text))
    return [(len(match["level"]), match["title"]) for match in matches if match]


def anchors(text: str) -> set[str]:
    """The fragments that lead to a heading: lower case, hyphens for blanks, no punctuation."""
    found: set[str] = set()
    for _, title in headings(text):
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        number, name = 0, slug
        while name in found:
            number += 1
            name = f"{slug}-{number}"
        found.add(name)
    return found
