"""The schemas of the last release, or of another revision, read from git."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from busbar.kernel.errors import ConfigurationError
from tools.contracts.names import SCHEMAS, is_schema

_GITLINK: Final = "160000"
_RELEASE: Final = re.compile(r"v([0-9]+)\.([0-9]+)\.([0-9]+)")
"""A release's tag; a candidate (``v1.0.0rc1``) releases nothing."""


@dataclass(frozen=True, slots=True)
class Version:
    """An earlier text of the file at ``path``, and the revision that has it."""

    path: str
    revision: str
    text: str


@dataclass(frozen=True, slots=True)
class History:
    """The versions that were found, and ``notes``: sentences about what was not compared."""

    versions: tuple[Version, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Blob:
    path: str
    revision: str
    id: str


def read_history(root: Path, *, against: str | None = None) -> History:
    """Return each schema under ``root`` as the last release has it, or as ``against`` has it.

    The last release is the highest tag ``v<major>.<minor>.<patch>`` that ``HEAD`` contains.

    Raises:
        ConfigurationError: git is missing or fails, or ``against`` names no commit.
    """
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        if against is not None:
            raise ConfigurationError(
                f"{root} is not in a git repository, so there is no revision {against}.",
                fix="Leave --against out, or run this inside a checkout.",
            )
        return _nothing(f"{root} is not in a git repository")
    _git(root, "rev-parse", "--git-dir")  # a repository that git refuses must not look empty
    if against is not None:
        return History(tuple(_texts(root, _at(root, against))))
    if not _succeeds(root, "rev-parse", "--verify", "--quiet", "HEAD"):
        return _nothing("this git repository has no commit yet")
    if (release := _last_release(root)) is not None:
        return History(tuple(_texts(root, _at(root, release))))
    if _git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        return _nothing(
            "this clone is shallow and has no release tag: fetch the tags with "
            "`git fetch --unshallow --tags` (in GitHub Actions: fetch-depth: 0)"
        )
    return _nothing("nothing is released yet, so every message is a draft")


def _nothing(why: str) -> History:
    return History((), (f"No earlier version was compared: {why}.",))


def _last_release(root: Path) -> str | None:
    """The tag of the highest release that HEAD contains."""
    tags = _git(root, "tag", "--merged", "HEAD", "--list", "v*").split()
    releases = {tag: match.groups() for tag in tags if (match := _RELEASE.fullmatch(tag))}
    return max(releases, key=lambda tag: tuple(map(int, releases[tag])), default=None)


def _at(root: Path, revision: str) -> list[_Blob]:
    name = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if not _succeeds(root, *name):
        raise ConfigurationError(
            f"git knows no commit {revision}.",
            fix="Give --against a branch, tag or commit of this clone; fetch it first if needed.",
        )
    commit = _git(root, *name).strip()
    listing = _git(root, "ls-tree", "-r", "-z", commit, "--", f"{SCHEMAS}/")
    blobs = []
    for entry in filter(None, listing.split("\0")):
        about, path = entry.split("\t", 1)
        mode, _, id_ = about.split()
        if is_schema(path) and mode != _GITLINK:
            blobs.append(_Blob(path, revision, id_))
    return blobs


def _texts(root: Path, blobs: Sequence[_Blob]) -> list[Version]:
    """Read the contents of ``blobs`` with one process."""
    if not blobs:
        return []
    wanted = "".join(f"{blob.id}\n" for blob in blobs).encode()
    output = _run(root, "cat-file", "--batch", given=wanted)
    versions, start = [], 0
    for blob in blobs:
        end = output.index(b"\n", start)
        size = int(output[start:end].rsplit(b" ", 1)[1])
        text = output[end + 1 : end + 1 + size].decode("utf-8", errors="replace")
        versions.append(Version(blob.path, blob.revision, text))
        start = end + 1 + size + 1
    return versions


def _git(root: Path, *arguments: str) -> str:
    return _run(root, *arguments).decode("utf-8", errors="replace")


def _succeeds(root: Path, *arguments: str) -> bool:
    return _call(root, arguments).returncode == 0


def _run(root: Path, *arguments: str, given: bytes = b"") -> bytes:
    done = _call(root, arguments, given)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", errors="replace").strip()
        raise ConfigurationError(
            f"git {arguments[0]} failed: {said}.",
            fix=f"Make `git -C {root} status` work, then try again.",
        )
    return done.stdout


def _call(
    root: Path, arguments: Sequence[str], given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    if (git := shutil.which("git")) is None:
        raise ConfigurationError(
            "Earlier versions are read from git, and there is no git on PATH.",
            fix="Install git, then try again.",
        )
    command = [git, "--no-pager", "-c", "core.quotePath=false", "-C", str(root), *arguments]
    return subprocess.run(command, input=given, capture_output=True, check=False)  # noqa: S603 - git by its path, no shell
