"""A page of the documentation, followed block by block in a scratch folder."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from meta.markdown import Block, blocks

FILES = frozenset({"python", "toml", "yaml"})
SHELL = "sh"
OUTPUT = "text"


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
            printed = _run(block, folder, environment, where)
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


def _run(block: Block, folder: Path, environment: Mapping[str, str], where: str) -> str:
    done = subprocess.run(  # noqa: S603 - commands of our own documentation
        ["bash", "-euo", "pipefail", "-c", block.code],  # noqa: S607 - the shell on the PATH
        cwd=folder,
        env=dict(environment),
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"{where}: exit code {done.returncode}\n{done.stdout}"
    return done.stdout
