"""Commands of the documentation, for tests that run them as they stand there."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from meta.markdown import Block, blocks, prose

FILES = frozenset({"python", "toml", "yaml"})
SHELL = "sh"
OUTPUT = "text"

ROOT = Path(__file__).resolve().parents[2]
_PATH = f"{Path(sys.executable).parent}:{os.defpath}"


def under(page: Path, heading: str, language: str) -> list[str]:
    """The blocks of ``language`` on ``page`` between ``heading`` and the next heading."""
    said = page.read_text(encoding="utf-8")
    headings = [number for number, line in prose(said) if line.startswith("#")]
    begin = said.splitlines().index(heading) + 1
    end = min((number for number in headings if number > begin), default=10**9)
    found = [block for block in blocks(said) if begin < block.line < end]
    return [block.code for block in found if block.language == language]


def run(commands: str, *, folder: Path, environment: Mapping[str, str], **options: Any) -> str:
    """Run ``commands`` in a shell that stops at the first one that fails; what they print."""
    path = environment.get("PATH", "")
    done: subprocess.CompletedProcess[str] = subprocess.run(  # noqa: S603 - our own documentation
        ["bash", "-eu", "-o", "pipefail", "-c", commands],  # noqa: S607 - the shell on the PATH
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        **{**options, "env": {**environment, "PATH": f"{path}:{_PATH}", "LC_ALL": "C"}},
    )
    ended = f"exit code {done.returncode}"
    assert done.returncode == 0, f"{commands}\n{ended}\n{done.stdout}{done.stderr}"
    return done.stdout


def follow(page: Path, folder: Path, environment: Mapping[str, str]) -> None:
    """Write every file that ``page`` shows, run every command, and find the output it shows.

    The first line of a file's block is a comment with the file's name. A block of output stands
    behind the commands that print it: each of its lines is part of what they printed.
    """
    printed = ""
    for block in blocks(page.read_text(encoding="utf-8")):
        where = f"{page.name}:{block.line}"
        if block.language in FILES:
            _write(block, folder, where)
        elif block.language == SHELL:
            printed = run(block.code, folder=folder, environment=environment)
        elif block.language == OUTPUT:
            missing = [line for line in block.code.splitlines() if line not in printed]
            assert not missing, f"{where}: not printed: {missing}\n{printed}"
        else:
            raise AssertionError(f"{where}: nothing follows a block of {block.language!r}")


def _write(block: Block, folder: Path, where: str) -> None:
    first = block.code.partition("\n")[0]
    assert first.startswith("# "), f"{where}: the first line has to be a comment with a file name"
    file = folder / first.removeprefix("# ")
    assert file.resolve().is_relative_to(folder.resolve()), f"{where}: {file} is outside"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(block.code + "\n", encoding="utf-8")
