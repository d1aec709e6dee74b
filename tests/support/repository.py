"""A small git repository, which the machine's own settings do not touch."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

PERSON = {
    f"GIT_{role}_{name}": value
    for role in ("AUTHOR", "COMMITTER")
    for name, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
}
NO_SETTINGS = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at ``root``, on the branch ``main``."""

    root: Path

    @classmethod
    def make(cls, root: Path, monkeypatch: pytest.MonkeyPatch) -> "Repository":
        """Make an empty one in the folder ``root``."""
        for name in [name for name in os.environ if name.startswith("GIT_")]:  # noqa: TID251 - a hook's variables
            monkeypatch.delenv(name)
        for name, value in (PERSON | NO_SETTINGS).items():
            monkeypatch.setenv(name, value)
        made = cls(root)
        made.git("init", "--quiet", "--initial-branch=main")
        return made

    def git(self, *arguments: str) -> str:
        """Run git; return what it prints."""
        command = ["git", "-C", str(self.root), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - git with our own arguments

    def commit(self, files: Mapping[str, str] | None = None) -> str:
        """Write ``files`` and commit everything; return the commit."""
        for path, text in (files or {}).items():
            (self.root / path).parent.mkdir(parents=True, exist_ok=True)
            (self.root / path).write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=A change")
        return self.git("rev-parse", "HEAD").strip()
