"""The schemas of the last release, or of another revision, read from git."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from busbar.kernel.errors import ConfigurationError
from tools.contracts.names import SCHEMAS, is_schema
from tools.git import git, git_succeeds, read_blobs
from tools.release.version import last_release

_GITLINK: Final = "160000"


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
    git(root, "rev-parse", "--git-dir")  # a repository that git refuses must not look empty
    if against is not None:
        return History(tuple(_texts(root, _at(root, against))))
    if not git_succeeds(root, "rev-parse", "--verify", "--quiet", "HEAD"):
        return _nothing("this git repository has no commit yet")
    if (release := last_release(root)) is not None:
        return History(tuple(_texts(root, _at(root, release.tag))))
    if git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        return _nothing(
            "this clone is shallow and has no release tag: fetch the tags with "
            "`git fetch --unshallow --tags` (in GitHub Actions: fetch-depth: 0)"
        )
    return _nothing("nothing is released yet, so every message is a draft")


def _nothing(why: str) -> History:
    return History((), (f"No earlier version was compared: {why}.",))


def _at(root: Path, revision: str) -> list[_Blob]:
    name = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if not git_succeeds(root, *name):
        raise ConfigurationError(
            f"git knows no commit {revision}.",
            fix="Give --against a branch, tag or commit of this clone; fetch it first if needed.",
        )
    commit = git(root, *name).strip()
    listing = git(root, "ls-tree", "-r", "-z", commit, "--", f"{SCHEMAS}/")
    blobs = []
    for entry in filter(None, listing.split("\0")):
        about, path = entry.split("\t", 1)
        mode, _, id_ = about.split()
        if is_schema(path) and mode != _GITLINK:
            blobs.append(_Blob(path, revision, id_))
    return blobs


def _texts(root: Path, blobs: Sequence[_Blob]) -> list[Version]:
    contents = read_blobs(root, [blob.id for blob in blobs])
    return [
        Version(blob.path, blob.revision, content.decode("utf-8", errors="replace"))
        for blob, content in zip(blobs, contents, strict=True)
    ]
