"""A copy of the checkout in which a page is followed, or a command is run."""

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from meta.checkout import ROOT, files
from meta.markdown import blocks

SECONDS = 300
DAY = 24 * 3600
_TARGET = re.compile(r"^At the end of `(?P<path>[^`]+)`:$|^Write `(?P<new>[^`]+)`:$")


@dataclass(frozen=True, slots=True)
class Copy:
    """The tracked files of the checkout in a git repository of their own.

    It runs with the packages of the environment that the tests run in, and with its own code.
    """

    root: Path

    @classmethod
    def make(cls, root: Path) -> "Copy":
        """Copy the checkout to ``root``, with what mypy knows about it."""
        for path in files():
            target = root / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        if (known := ROOT / ".mypy_cache").is_dir():
            shutil.copytree(known, root / ".mypy_cache", dirs_exist_ok=True)
        environment = root / ".venv"
        environment.mkdir()
        for name in ("bin", "lib", "lib64", "pyvenv.cfg"):
            if (Path(sys.prefix) / name).exists():
                (environment / name).symlink_to(Path(sys.prefix) / name)
        tomorrow = time.time() + DAY
        for mark in (".runtime", ".dev"):
            (environment / mark).touch()
            os.utime(environment / mark, (tomorrow, tomorrow))  # there is nothing to install
        copy = cls(root)
        copy.shell("git init --quiet && git add --all && git commit --quiet -m 'A copy'")
        return copy

    def shell(self, command: str, **variables: str) -> str:
        """Run ``command`` as a person types it at the root; return what it prints.

        Raises:
            AssertionError: it failed.
        """
        done = subprocess.run(  # noqa: S603 - our own pages
            ["bash", "-euo", "pipefail", "-c", command],  # noqa: S607 - the shell on PATH
            cwd=self.root,
            env=self._environment() | variables,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        return done.stdout

    def _environment(self) -> dict[str, str]:
        kept = {key: os.environ[key] for key in ("HOME", "LANG", "TMPDIR") if key in os.environ}  # noqa: TID251 - handed on, not read
        return {
            **kept,
            "PATH": f"{self.root / '.venv' / 'bin'}{os.pathsep}{os.defpath}",
            "PYTHONPATH": str(self.root / "services"),
            # The environment is that of the tests, which must not be changed.
            "PIP_DRY_RUN": "1",
            **{
                f"GIT_{role}_{name}": value
                for role in ("AUTHOR", "COMMITTER")
                for name, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
            },
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
        }

    def changed(self) -> set[str]:
        """Return the files that differ from the checkout, new ones included."""
        listing = self.shell("git status --porcelain --untracked-files=all --no-renames")
        names = {line[3:] for line in listing.splitlines()}
        return {name for name in names if not name.startswith((".venv", ".mypy_cache"))}

    def follow(self, page: Path, **variables: str) -> None:
        """Do what ``page`` says, block by block: commands, edits, new files, ends of files."""
        text = page.read_text(encoding="utf-8")
        lines = text.splitlines()
        for block in blocks(text):
            if block.language == "sh":
                self.shell(block.code, **variables)
            elif block.language == "diff":
                self.edit(block.code)
            elif block.language == "python":
                self._write(_paragraph_before(lines, block.line), block.code)

    def _write(self, paragraph: str, code: str) -> None:
        match = _TARGET.match(paragraph)
        assert match, f"say where this goes, not {paragraph!r}"
        file = self.root / (match["path"] or match["new"])
        assert file.is_file() == bool(match["path"]), file
        before = f"{file.read_text(encoding='utf-8')}\n\n" if match["path"] else ""
        file.write_text(f"{before}{code}\n", encoding="utf-8")

    def edit(self, diff: str) -> None:
        """Apply ``diff``: its lines that stay have to be in the file, in one place."""
        path, *lines = diff.splitlines()
        assert path.startswith("--- "), diff
        assert lines[0] == path.replace("---", "+++", 1), diff
        old = "".join(f"{line[1:]}\n" for line in lines[1:] if not line.startswith("+"))
        new = "".join(f"{line[1:]}\n" for line in lines[1:] if not line.startswith("-"))
        file = self.root / path.removeprefix("--- ")
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path} does not have these lines once:\n{old}"
        file.write_text(text.replace(old, new), encoding="utf-8")


def _paragraph_before(lines: list[str], number: int) -> str:
    """The last line of prose before the block whose first line has this number."""
    return next(line for line in reversed(lines[: number - 2]) if line.strip())
