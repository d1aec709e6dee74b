"""The recorded build that ``old-and-new`` runs, and how today's code has moved away from it.

``python -m tools.release record REV`` writes both files (docs/how-to/make-a-release.md).
"""

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "older"
ARCHIVE = FOLDER / "build.tar.xz"


@dataclass(frozen=True, slots=True)
class Recorded:
    """The build's name, and its differences.

    ``settings`` are variables that it needs and that today's code calls differently. ``unread``
    are the topics, by service, that it consumes and that today's code does not: the group keeps
    their offsets after the older instance has left, and no instance reads on from there.
    """

    of: str
    settings: Mapping[str, str]
    unread: Mapping[str, frozenset[str]]


@cache
def recorded() -> Recorded:
    """Return what ``build.json`` says."""
    about = json.loads((FOLDER / "build.json").read_text(encoding="utf-8"))
    unread = {service: frozenset(topics) for service, topics in about["unread"].items()}
    return Recorded(about["of"], about["settings"], unread)


def unpack(target: Path) -> None:
    """Unpack the build into the new folder ``target``."""
    with tarfile.open(ARCHIVE) as archive:
        # Python 3.11 knows filters from 3.11.4 on; the archive is our own.
        safely: Any = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(target, **safely)  # noqa: S202 - our own
