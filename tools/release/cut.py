"""A release: collect the changelog, freeze, generate, record the build, commit and tag.

Everything is done in a temporary worktree. The checkout itself is changed by the last two commands,
which make the tag and move ``main`` to the new commit; until then nothing is to be undone.
"""

import datetime as dt
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from busbar.kernel.errors import ConfigurationError
from tools.git import git, git_bytes, git_succeeds
from tools.release.changelog import CHANGELOG, FRAGMENTS, read_fragments, section, with_section
from tools.release.checks import check_repository
from tools.release.places import publish_formats, set_version
from tools.release.record import build_of, record
from tools.release.version import Version, last_release

Say = Callable[[str], None]

_SECONDS: Final = 600
_FIRST: Final = """\
Messages, promise files and the HTTP API are published, which freezes
them: from here on a change that breaks a reader is a new version.
"""
_BODY: Final = """\
The changelog has what changed since {since}. The fault test
old-and-new runs the build of this release beside what follows.
"""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A worktree whose index is the release, and what its commit and its tag say."""

    tree: Path
    version: Version
    message: str
    notes: str


def release(root: Path, version: Version, *, dry_run: bool, say: Say) -> None:
    """Release ``version`` from the checkout ``root``, or with ``dry_run`` show what it would be.

    Nothing is pushed. If it raises, the checkout, its branches and its tags are as they were.

    Raises:
        ConfigurationError: something is missing, or a command failed; the error says what to do.
    """
    check_repository(root, version)
    day = _today(root)
    with _worktree(root) as tree:
        say("checking the generated files and the released schemas")
        _contracts(tree, "check", fix="Correct what it names, commit it, then repeat.")
        prepared = _prepare(tree, version, day)
        say("checking them again, as the release has them")
        _contracts(tree, "check", fix="Correct what it names, commit it, then repeat.")
        if dry_run:
            _show(prepared, say)
            return
        commit = _commit(prepared)
        _land(root, prepared, commit)
    say(f"released {version} as {commit[:12]}, tag {version.tag}; nothing was pushed")
    say(f"  look:  git show {version.tag}")
    say(f"  push:  git push --atomic origin main {version.tag}")
    say(f"  undo:  git tag -d {version.tag} && git reset --hard HEAD~1   (before the push)")


def _today(root: Path) -> dt.date:
    """The date that git will give the commit, in the time zone of its author."""
    if not git_succeeds(root, "var", "GIT_COMMITTER_IDENT"):
        raise ConfigurationError(
            "git does not know whose commit and tag this will be.",
            fix="Run `git config user.name NAME` and `git config user.email ADDRESS`.",
        )
    stamp, zone = git(root, "var", "GIT_COMMITTER_IDENT").split()[-2:]
    sign = -1 if zone.startswith("-") else 1
    offset = dt.timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5])) * sign
    return dt.datetime.fromtimestamp(int(stamp), dt.timezone(offset)).date()


@contextmanager
def _worktree(root: Path) -> Iterator[Path]:
    """A second worktree with the files of HEAD, on no branch, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="busbar-release-", ignore_cleanup_errors=True) as made:
        tree = Path(made).resolve() / "tree"
        git(root, "worktree", "add", "--quiet", "--detach", str(tree), "HEAD")
        try:
            yield tree
        finally:
            git_succeeds(root, "worktree", "remove", "--force", str(tree))


def _prepare(tree: Path, version: Version, day: dt.date) -> _Prepared:
    """Edit the files in ``tree``, and add all of them to its index."""
    fragments = read_fragments(tree)
    if not fragments:
        raise ConfigurationError(
            f"{FRAGMENTS} has no fragment, so nothing has changed for users.",
            fix=f"Say what changed in {FRAGMENTS}/<topic>.<added|changed|fixed>.md.",
        )
    last = last_release(tree)
    notes = section(version, day, fragments)
    changelog = (tree / CHANGELOG).read_text(encoding="utf-8")
    (tree / CHANGELOG).write_text(
        with_section(changelog, version, notes), encoding="utf-8", newline="\n"
    )
    for fragment in fragments:
        (tree / fragment.path).unlink()
    set_version(tree, version)
    frozen = publish_formats(tree)
    _contracts(tree, "generate", fix="Make `make generate` work, then repeat.")
    git(tree, "add", "--all")
    build = build_of(tree, git(tree, "write-tree").strip(), of=version.tag)
    record(tree, build)
    git(tree, "add", "--all")
    body = (_FIRST if frozen else "") + _BODY.format(since=last.tag if last else "the beginning")
    return _Prepared(tree, version, f"release: publish {version}\n\n{body}", notes)


def _contracts(tree: Path, command: str, *, fix: str) -> None:
    """Run ``python -m tools.contracts`` with the code in ``tree``."""
    paths = os.pathsep.join((str(tree / "services"), str(tree)))
    done = subprocess.run(  # noqa: S603 - our own tool
        [sys.executable, "-m", "tools.contracts", command],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": paths},  # noqa: TID251 - handed on, not read
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
    )
    if done.returncode != 0:
        raise ConfigurationError(
            f"`make {command}` fails on what is to be released:\n{done.stdout.strip()}", fix=fix
        )


def _show(prepared: _Prepared, say: Say) -> None:
    """Print the release that would be made."""
    say(f"this would be committed on main, with the tag {prepared.version.tag}:\n")
    say(prepared.message)
    say(git(prepared.tree, "diff", "--cached", "--stat=100", "HEAD"))
    say(f"{CHANGELOG} would get:\n")
    say(prepared.notes)
    say("nothing was changed")


def _commit(prepared: _Prepared) -> str:
    """Commit the index of the worktree; return the commit."""
    message = prepared.message.encode()
    git_bytes(prepared.tree, "commit", "--quiet", "--file=-", given=message)
    return git(prepared.tree, "rev-parse", "HEAD").strip()


def _land(root: Path, prepared: _Prepared, commit: str) -> None:
    """Make the tag and move ``main``, or neither."""
    tag = prepared.version.tag
    about = f"busbar {prepared.version}\n\n{prepared.notes}".encode()
    git_bytes(root, "tag", "--annotate", "--cleanup=verbatim", "--file=-", tag, commit, given=about)
    try:
        git(root, "merge", "--quiet", "--ff-only", commit)
    finally:
        if git(root, "rev-parse", "HEAD").strip() != commit:
            git(root, "tag", "--delete", tag)
