"""A release is refused, with what to do, unless the repository is ready for it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from busbar.kernel.errors import ConfigurationError
from support.repository import Repository
from tools.release.checks import check_repository
from tools.release.version import Version, last_release

NEXT = Version(1, 1, 0)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    made = Repository.make(tmp_path, monkeypatch)
    made.commit({"a": "1"})
    made.git("tag", "v1.0.0")
    made.commit({"a": "2"})
    return made


def on_another_branch(repository: Repository) -> None:
    repository.git("switch", "--quiet", "--create", "work")


def on_no_branch(repository: Repository) -> None:
    repository.git("switch", "--quiet", "--detach")


def with_an_edit(repository: Repository) -> None:
    (repository.root / "a").write_text("3", encoding="utf-8")


def with_a_new_file(repository: Repository) -> None:
    (repository.root / "b").write_text("3", encoding="utf-8")


def with_the_tag(repository: Repository) -> None:
    repository.git("tag", "v1.1.0")


def with_the_tag_elsewhere(repository: Repository) -> None:
    repository.commit()
    repository.git("tag", "v1.1.0")
    repository.git("reset", "--quiet", "--hard", "HEAD~1")


def with_the_same_version(repository: Repository) -> None:
    repository.git("tag", "v1.10.0")


def with_a_release_elsewhere(repository: Repository) -> None:
    repository.commit()
    repository.git("tag", "v1.0.9")
    repository.git("reset", "--quiet", "--hard", "HEAD~1")


@pytest.mark.parametrize(
    ("spoil", "problem", "fix"),
    [
        (on_another_branch, "on the branch work", "git switch main"),
        (on_no_branch, "on no branch", "git switch main"),
        (with_an_edit, "not committed: a", "git stash"),
        (with_a_new_file, "not committed: b", "git stash"),
        (with_the_tag, "released already: main contains v1.1.0", "a higher version"),
        (with_the_tag_elsewhere, "a tag v1.1.0 that main does not", "git tag -d v1.1.0"),
        (with_the_same_version, "not greater than the last release, 1.10.0", "above 1.10.0"),
        (with_a_release_elsewhere, "does not contain the last release, 1.0.9", "up to date"),
    ],
)
def test_a_repository_that_is_not_ready_is_refused(
    repository: Repository, spoil: Callable[[Repository], None], problem: str, fix: str
) -> None:
    check_repository(repository.root, NEXT)
    spoil(repository)
    with pytest.raises(ConfigurationError) as refused:
        check_repository(repository.root, NEXT)
    assert problem in refused.value.problem
    assert fix in (refused.value.fix or "")


def test_many_changes_are_counted_and_not_all_listed(repository: Repository) -> None:
    for number in range(8):
        (repository.root / f"new-{number}").touch()
    with pytest.raises(ConfigurationError, match=r"new-4 and 3 more\."):
        check_repository(repository.root, NEXT)


def test_a_folder_without_git_or_without_commits_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match="not the root of a git repository"):
        check_repository(tmp_path, NEXT)
    Repository.make(tmp_path, monkeypatch)
    with pytest.raises(ConfigurationError, match="no commit yet"):
        check_repository(tmp_path, NEXT)


def test_a_shallow_clone_is_refused(repository: Repository, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    repository.git("clone", "--quiet", "--depth=1", repository.root.as_uri(), str(clone))
    with pytest.raises(ConfigurationError, match=r"git fetch --unshallow --tags"):
        check_repository(clone, NEXT)


def test_the_last_release_is_that_of_the_branch_unless_all_are_meant(
    repository: Repository,
) -> None:
    with_a_release_elsewhere(repository)
    assert last_release(repository.root) == Version(1, 0, 0)
    assert last_release(repository.root, merged=False) == Version(1, 0, 9)
