"""The fragments in ``changelog.d``, and ``CHANGELOG.md``, which a release collects them in.

The form is that of Keep a Changelog (https://keepachangelog.com/en/1.1.0/).
"""

import datetime as dt
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from busbar.kernel.errors import ConfigurationError
from tools.release.version import Version

CHANGELOG: Final = Path("CHANGELOG.md")
FRAGMENTS: Final = Path("changelog.d")
ABOUT: Final = "README.md"
"""The file in the folder that explains the others."""

KINDS: Final = ("added", "changed", "fixed")
"""In the order in which they are listed."""

_NAME: Final = re.compile(rf"(?P<topic>[a-z0-9]+(-[a-z0-9]+)*)\.(?P<kind>{'|'.join(KINDS)})\.md")
_UNRELEASED: Final = re.compile(r"^## \[Unreleased\][^\n]*\n", re.MULTILINE)
_SECTION: Final = re.compile(r"^## ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Fragment:
    """A change that users notice, in the file ``path``."""

    path: Path
    topic: str
    kind: str
    text: str


def read_fragments(root: Path) -> list[Fragment]:
    """Return the fragments below ``root``, by the names of their files.

    Raises:
        ConfigurationError: a file is not named as a fragment is, or is empty.
    """
    found = []
    for file in sorted((root / FRAGMENTS).glob("*")):
        path = FRAGMENTS / file.name
        if file.name == ABOUT:
            continue
        if (match := _NAME.fullmatch(file.name)) is None or not file.is_file():
            raise ConfigurationError(
                f"{path} is not named as a fragment of the changelog.",
                fix=f"Name it <topic>.<{'|'.join(KINDS)}>.md, the topic in lower case.",
            )
        text = file.read_text(encoding="utf-8").strip("\n")
        if not text.strip():
            raise ConfigurationError(
                f"{path} is empty.", fix="Say what changed for users, or remove it."
            )
        found.append(Fragment(path, match["topic"], match["kind"], text))
    return found


def section(version: Version, day: dt.date, fragments: Sequence[Fragment]) -> str:
    """Return the part of the changelog about ``version``: one list for each kind of change."""
    return "\n\n".join([f"## [{version}] – {day.isoformat()}", *_lists(fragments)]) + "\n"  # noqa: RUF001 - a dash between two parts


def _lists(fragments: Sequence[Fragment]) -> Iterator[str]:
    for kind in KINDS:
        if own := [each for each in fragments if each.kind == kind]:
            yield f"### {kind.capitalize()}\n" + "\n".join(_item(each.text) for each in own)


def _item(text: str) -> str:
    """Return ``text`` as an item of a list: whatever lines it has, they belong to the item."""
    first, *more = text.split("\n")
    return "\n".join([f"- {first}", *(f"  {line}" if line else "" for line in more)])


def with_section(changelog: str, version: Version, added: str) -> str:
    """Return ``changelog`` with the part ``added`` below what is unreleased.

    Raises:
        ConfigurationError: it has no such place, or a part about ``version`` already.
    """
    if f"\n## [{version}]" in changelog:
        raise ConfigurationError(
            f"{CHANGELOG} has a part about {version} already.",
            fix="Choose a higher version, or remove the part if nothing was released under it.",
        )
    if (unreleased := _UNRELEASED.search(changelog)) is None:
        raise ConfigurationError(
            f"{CHANGELOG} has no line `## [Unreleased]`.",
            fix="Put the line back, above the newest release.",
        )
    older = _SECTION.search(changelog, unreleased.end())
    end = older.start() if older else len(changelog)
    parts = (changelog[:end].rstrip("\n") + "\n", added, changelog[end:])
    return "\n".join(part for part in parts if part)
