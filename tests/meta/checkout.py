"""The files of this checkout, parsed once for all rules."""

import ast
import io
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "services" / "busbar"


@cache
def files() -> tuple[Path, ...]:
    """Every file that is tracked or could be added; ignored ones are left out."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - the git on PATH, as `make check` uses
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    names = sorted(set(listed.stdout.decode().split("\0")) - {""})
    return tuple(path for path in (ROOT / name for name in names) if path.is_file())


def below(*folders: str, suffix: str) -> list[Path]:
    """The files in ``folders`` (from the root) whose names end in ``suffix``."""
    roots = tuple(ROOT / folder for folder in folders)
    return [
        path
        for path in files()
        if path.name.endswith(suffix) and any(path.is_relative_to(root) for root in roots)
    ]


@cache
def text(path: Path) -> str:
    """Return the text of ``path``; bytes that are not UTF-8 become U+FFFD."""
    return path.read_text(encoding="utf-8", errors="replace")


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(text(path), filename=str(path))


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """The comments of a Python file with their lines; text in strings is none."""
    for token in tokenize.generate_tokens(io.StringIO(text(path)).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def place(path: Path, line: int | None = None) -> str:
    """``path`` as people write it: from the root, with the line."""
    name = path.relative_to(ROOT).as_posix()
    return name if line is None else f"{name}:{line}"
