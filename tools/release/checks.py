"""Checks of a repository before something is released from it."""

from pathlib import Path
from typing import Final

from busbar.kernel.errors import ConfigurationError
from tools.git import git, git_succeeds
from tools.release.version import Version, last_release

MAIN: Final = "main"
_SHOWN: Final = 5


def check_repository(root: Path, version: Version) -> None:
    """Check that ``version`` can be released from the checkout ``root``.

    Raises:
        ConfigurationError: it cannot; the error says why, and what to do.
    """
    if not (root / ".git").exists():
        raise ConfigurationError(
            f"{root} is not the root of a git repository.", fix="Release from a checkout."
        )
    _check_branch(root)
    _check_clean(root)
    _check_version(root, version)


def _check_branch(root: Path) -> None:
    branch = git(root, "branch", "--show-current").strip()
    if branch != MAIN:
        where = f"on the branch {branch}" if branch else "on no branch"
        raise ConfigurationError(
            f"This checkout is {where}, and releases are made on {MAIN}.",
            fix=f"Bring the changes to {MAIN}, then `git switch {MAIN}`.",
        )
    if not git_succeeds(root, "rev-parse", "--verify", "--quiet", "HEAD"):
        raise ConfigurationError(f"{MAIN} has no commit yet.", fix="Commit something first.")
    if git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise ConfigurationError(
            "This clone is shallow, so the last release may be missing from it.",
            fix="Run `git fetch --unshallow --tags`.",
        )


def _check_clean(root: Path) -> None:
    changed = git(root, "status", "--porcelain", "--untracked-files=all").splitlines()
    if changed:
        names = ", ".join(line[3:] for line in changed[:_SHOWN])
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        raise ConfigurationError(
            f"The working tree has changes that are not committed: {names}{more}.",
            fix="Commit them, or put them aside with `git stash --include-untracked`.",
        )


def _check_version(root: Path, version: Version) -> None:
    last = last_release(root, merged=False)
    contained = last_release(root)
    if git_succeeds(root, "rev-parse", "--verify", "--quiet", f"refs/tags/{version.tag}"):
        _refuse_tag(root, version)
    if last is not None and version <= last:
        raise ConfigurationError(
            f"{version} is not greater than the last release, {last}.",
            fix=f"Choose a version above {last}.",
        )
    if last != contained:
        raise ConfigurationError(
            f"{MAIN} does not contain the last release, {last}.",
            fix=f"Bring {MAIN} up to date. If {last} was never pushed, "
            f"remove it: `git tag -d v{last}`.",
        )


def _refuse_tag(root: Path, version: Version) -> None:
    tag = version.tag
    if git_succeeds(root, "merge-base", "--is-ancestor", f"refs/tags/{tag}", "HEAD"):
        raise ConfigurationError(
            f"{version} is released already: {MAIN} contains {tag}.",
            fix="Choose a higher version.",
        )
    raise ConfigurationError(
        f"There is a tag {tag} that {MAIN} does not contain.",
        fix=f"If it was pushed, bring {MAIN} up to date and choose a higher version. If a release "
        f"was cut off, remove it: `git tag -d {tag}`.",
    )
