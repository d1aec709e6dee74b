"""The places in the checkout that a release edits: versions, and the status of the formats."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from busbar.kernel.errors import ConfigurationError
from tools.release.version import Version


@dataclass(frozen=True, slots=True)
class Place:
    """The part of the file ``path`` that ``pattern`` finds as ``value``, exactly once."""

    path: Path
    pattern: str

    def with_value(self, text: str, value: str) -> str:
        """Return ``text`` with ``value`` in this place.

        Raises:
            ConfigurationError: the place is not there, or is there more than once.
        """
        found = list(re.finditer(self.pattern, text, re.MULTILINE))
        if len(found) != 1:
            raise ConfigurationError(
                f"{self.path} has {len(found)} lines that fit {self.pattern}, not one.",
                fix="Restore the line, or follow its new form in tools/release/places.py.",
            )
        start, end = found[0].span("value")
        return text[:start] + value + text[end:]


VERSIONS: Final = (
    Place(Path("pyproject.toml"), r'^version = "(?P<value>[^"]+)"$'),
    Place(Path("pyproject.toml"), r'^  "busbar-sdk==(?P<value>[^"]+)",'),
    Place(Path("services") / "pyproject.toml", r'^version = "(?P<value>[^"]+)"$'),
    Place(Path("compose.yaml"), r":-busbar-platform:(?P<value>[^}]+)\}$"),
)
"""Where the version stands; generated files take it from the first."""

STATUS: Final = Place(
    Path("services") / "busbar" / "messages" / "base.py",
    r'^FORMATS: Final\[Status\] = "(?P<value>draft|published)"$',
)
"""Where the status of all formats stands."""


def set_version(root: Path, version: Version) -> None:
    """Write ``version`` to every place below ``root``.

    Raises:
        ConfigurationError: a place is not there.
    """
    for place in VERSIONS:
        _write(root, place, str(version))


def publish_formats(root: Path) -> bool:
    """Freeze messages, promise files and the HTTP API; return whether they were drafts.

    Raises:
        ConfigurationError: the line that says their status is not there.
    """
    return _write(root, STATUS, "published")


def _write(root: Path, place: Place, value: str) -> bool:
    file = root / place.path
    if not file.is_file():
        raise ConfigurationError(
            f"{place.path} is missing.", fix="Restore it, or name its successor in places.py."
        )
    old = file.read_bytes().decode("utf-8")
    new = place.with_value(old, value)
    file.write_bytes(new.encode())
    return new != old
