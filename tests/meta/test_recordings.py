"""Recorded histories that a release had stay as they are: what was stored cannot be taken back."""

import os
import subprocess
from pathlib import Path

import pytest

from meta.checkout import ROOT

HISTORIES = "tests/replay/histories"
WHO = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


def git(root: Path, *command: str) -> str:
    done = subprocess.run(  # noqa: S603 - git with our own arguments
        ["git", *command],  # noqa: S607 - the git on PATH
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
        env={"PATH": os.defpath, "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(root)},
    )
    return done.stdout


def changed(root: Path) -> list[str]:
    """The recordings of releases that are gone or different now, each with its release."""
    found = []
    for release in git(root, "tag", "--list", "v[0-9]*").split():
        difference = git(root, "diff", "--name-only", "--diff-filter=a", release, "--", HISTORIES)
        names = (name for name in difference.splitlines() if name.endswith(".json"))
        found += [f"{release} {name}" for name in names]
    return found


def test_what_a_release_recorded_is_as_it_was() -> None:
    assert changed(ROOT) == [], "restore it, and read old events by an upcaster"


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A repository with one recording, which is released."""
    folder = tmp_path / HISTORIES
    folder.mkdir(parents=True)
    (folder / "old.json").write_text("{}\n", encoding="utf-8")
    (folder / "SHA256SUMS").write_text("a  old.json\n", encoding="ascii")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--all")
    git(tmp_path, *WHO, "commit", "--quiet", "--message", "x")
    git(tmp_path, "tag", "v1.0.0")
    return tmp_path


def test_a_new_recording_beside_old_ones_is_fine(released: Path) -> None:
    (released / HISTORIES / "new.json").write_text("{}\n", encoding="utf-8")
    (released / HISTORIES / "SHA256SUMS").write_text("a  old.json\nb  new.json\n", encoding="ascii")
    git(released, "add", "--all")
    assert changed(released) == []


def test_an_edited_recording_is_found(released: Path) -> None:
    (released / HISTORIES / "old.json").write_text('{"a": 1}\n', encoding="utf-8")
    assert changed(released) == [f"v1.0.0 {HISTORIES}/old.json"]


def test_a_recording_that_is_gone_is_found(released: Path) -> None:
    (released / HISTORIES / "old.json").unlink()
    assert changed(released) == [f"v1.0.0 {HISTORIES}/old.json"]
