"""Versions of releases, and their tags ``v<major>.<minor>.<patch>``."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from busbar.kernel.errors import ConfigurationError
from tools.git import git

_NUMBER: Final = "(0|[1-9][0-9]{0,8})"
_VERSION: Final = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """The version of a release, ordered as https://semver.org/spec/v2.0.0.html (11) orders it.

    There are no versions with a suffix: a candidate (``1.0.0-rc.1``) releases nothing.
    """

    major: int
    minor: int
    patch: int

    @classmethod
    def parse(cls, text: str) -> "Version":
        """Read ``1.2.3``.

        Raises:
            ConfigurationError: ``text`` is not the version of a release.
        """
        if (match := _VERSION.fullmatch(text)) is None:
            raise ConfigurationError(
                f"{text!r} is not the version of a release.",
                fix="Give three numbers without leading zeros, such as 1.2.3: "
                "no v, no suffix, no spaces.",
            )
        return cls(*map(int, match.groups()))

    @classmethod
    def of_tag(cls, tag: str) -> "Version | None":
        """Return the version that ``tag`` releases; None if it is not the tag of a release."""
        match = _VERSION.fullmatch(tag.removeprefix("v")) if tag.startswith("v") else None
        return cls(*map(int, match.groups())) if match else None

    @property
    def tag(self) -> str:
        """The tag of the release."""
        return f"v{self}"

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


def last_release(root: Path, *, merged: bool = True) -> Version | None:
    """Return the highest release that ``HEAD`` contains, or, unless ``merged``, of any branch.

    Raises:
        ConfigurationError: git is missing or fails.
    """
    within = ("--merged", "HEAD") if merged else ()
    tags = git(root, "tag", *within, "--list", "v*").split()
    return max((found for tag in tags if (found := Version.of_tag(tag))), default=None)
