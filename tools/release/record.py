"""Recorded builds: the code of a release, which the fault test ``old-and-new`` runs beside today's.

``tests/faults/older/build.tar.xz`` has the files that services run from, and ``build.json`` beside
it says which commit they are of, and how today's code has moved away from them since. The archive
depends on the contents of those files alone: the same commit gives the same bytes.
"""

import hashlib
import io
import json
import lzma
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from busbar.kernel.errors import ConfigurationError
from tools.git import git, git_succeeds, read_blobs

FOLDER: Final = Path("tests") / "faults" / "older"
BUILD: Final = FOLDER / "build.tar.xz"
ABOUT: Final = FOLDER / "build.json"

CODE: Final = ("contracts", "services/busbar")
"""The folders that services run from; the packages they need are those of today's environment."""

_EXECUTABLE: Final = "100755"
_FILES: Final = frozenset({"100644", _EXECUTABLE})


@dataclass(frozen=True, slots=True)
class Build:
    """The archive of a commit's code, uncompressed, and the name of the commit."""

    of: str
    archive: bytes

    @property
    def digest(self) -> str:
        """The SHA-256 of the uncompressed archive; versions of xz may compress it differently."""
        return hashlib.sha256(self.archive).hexdigest()


def build_of(root: Path, revision: str, *, of: str | None = None) -> Build:
    """Return the build of the commit, tag or tree ``revision``, under the name ``of``.

    Raises:
        ConfigurationError: git fails, or ``revision`` does not exist or has no code in it.
    """
    if not git_succeeds(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{tree}}"):
        raise ConfigurationError(
            f"git knows no commit {revision}.",
            fix="Give a branch, tag or commit of this clone; fetch it first if needed.",
        )
    listing = git(root, "ls-tree", "-r", "-z", "--full-tree", revision, "--", *CODE)
    entries = [_entry(each) for each in sorted(filter(None, listing.split("\0")), key=_path_of)]
    if not {path.partition("/")[0] for path, _, _ in entries} >= {"contracts", "services"}:
        raise ConfigurationError(
            f"{revision} has no code of busbar: {' and '.join(CODE)} are missing.",
            fix="Give a commit of busbar.",
        )
    contents = read_blobs(root, [id_ for _, _, id_ in entries])
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for (path, mode, _), content in zip(entries, contents, strict=True):
            member = tarfile.TarInfo(path)
            member.size = len(content)
            member.mode = 0o755 if mode == _EXECUTABLE else 0o644
            archive.addfile(member, io.BytesIO(content))
    return Build(of or revision, raw.getvalue())


def record(root: Path, build: Build) -> list[Path]:
    """Make ``build`` the one that ``old-and-new`` runs; return the files, from ``root``.

    What is known about the build before it is dropped: see :data:`ABOUT`.
    """
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    packed = lzma.compress(build.archive, preset=9 | lzma.PRESET_EXTREME)
    about = {"of": build.of, "sha256": build.digest, "settings": {}, "unread": {}}
    (root / BUILD).write_bytes(packed)
    (root / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8", newline="\n")
    return [BUILD, ABOUT]


def recorded(root: Path) -> Build:
    """Return the build that ``old-and-new`` runs.

    Raises:
        ConfigurationError: a file is missing or damaged, or the two do not belong together.
    """
    fix = f"Restore {BUILD} and {ABOUT}: `git checkout -- {FOLDER}`."
    try:
        about: dict[str, Any] = json.loads((root / ABOUT).read_text(encoding="utf-8"))
        build = Build(str(about["of"]), lzma.decompress((root / BUILD).read_bytes()))
        expected = about["sha256"]
    except (OSError, ValueError, KeyError, TypeError, lzma.LZMAError) as error:
        raise ConfigurationError(f"The recorded build cannot be read: {error}.", fix=fix) from error
    if build.digest != expected:
        raise ConfigurationError(f"{BUILD} is not the build that {ABOUT} describes.", fix=fix)
    return build


def _path_of(entry: str) -> str:
    return entry.partition("\t")[2]


def _entry(entry: str) -> tuple[str, str, str]:
    """Return path, mode and id of an entry of ``git ls-tree``."""
    about, path = entry.split("\t", 1)
    mode, _, id_ = about.split()
    if mode not in _FILES:
        raise ConfigurationError(
            f"{path} is neither a file nor a folder, so it cannot be recorded.",
            fix="Replace the link or submodule with a file.",
        )
    return path, mode, id_
