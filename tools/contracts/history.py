"""What git remembers of ``schemas/``: every version of every schema, and a commit that has it."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from busbar.kernel.errors import ConfigurationError
from tools.contracts.names import SCHEMAS, is_schema

_GITLINK = "160000"


@dataclass(frozen=True, slots=True)
class Version:
    """One earlier text of the file at ``path``, and a commit that has it."""

    path: str
    revision: str
    text: str


@dataclass(frozen=True, slots=True)
class History:
    """What was found, and ``notes``: sentences about what could not be looked at."""

    versions: tuple[Version, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Blob:
    path: str
    revision: str
    id: str


def read_history(root: Path, *, against: str | None = None) -> History:
    """Every committed version of each schema under ``root``, or only those of ``against``.

    Raises:
        ConfigurationError: git is missing or fails, or ``against`` names no commit.
    """
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        if against is not None:
            raise ConfigurationError(
                f"{root} is not in a git repository, so there is no revision {against}.",
                fix="Leave --against out, or run this inside a checkout.",
            )
        note = f"{root} is not in a git repository: nothing was compared with earlier versions."
        return History((), (note,))
    _git(root, "rev-parse", "--git-dir")  # a repository that git refuses must not look empty
    if against is not None:
        return History(tuple(_texts(root, _at(root, against))))
    if not _succeeds(root, "rev-parse", "--verify", "--quiet", "HEAD"):
        note = "This git repository has no commit yet: nothing was compared with earlier versions."
        return History((), (note,))
    notes = []
    if _git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        notes.append(
            "This clone is shallow, so older versions cannot be seen: fetch them with "
            "`git fetch --unshallow` (in GitHub Actions: fetch-depth: 0)."
        )
    versions = tuple(_texts(root, _ever(root)))
    if not versions:
        notes.append("No commit has a schema yet: nothing was compared with earlier versions.")
    return History(versions, tuple(notes))


def _at(root: Path, revision: str) -> list[_Blob]:
    name = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if not _succeeds(root, *name):
        raise ConfigurationError(
            f"git knows no commit {revision}.",
            fix="Give --against a branch, tag or commit that is here; fetch it first if need be.",
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


def _ever(root: Path) -> list[_Blob]:
    """Each different content that any commit up to HEAD gave to a schema, newest first."""
    log = _git(
        root,
        "log",
        "--full-history",
        "-m",
        "--root",
        "--raw",
        "--no-abbrev",
        "--no-renames",
        "--relative",
        "--format=commit %h",
        "HEAD",
        "--",
        f"{SCHEMAS}/",
    )
    found: dict[tuple[str, str], _Blob] = {}
    revision = ""
    for line in log.splitlines():
        if line.startswith("commit "):
            revision = line.removeprefix("commit ")
        elif line.startswith(":"):
            about, path = line.split("\t", 1)
            _, mode, _, id_, _ = about.split()
            if is_schema(path) and set(id_) != {"0"} and mode != _GITLINK:
                found[path, id_] = _Blob(path, revision, id_)
    return list(found.values())


def _texts(root: Path, blobs: Sequence[_Blob]) -> list[Version]:
    """The contents of ``blobs``, read by one process."""
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
