"""The generators: each makes a client in ``build/clients`` and compiles it."""

import re
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tools.clients.check import require, run

Generate = Callable[[Path, Path, Sequence[str]], None]
_HERE: Final = Path("tools") / "clients"
_DOCUMENT: Final = Path("contracts") / "openapi.json"


def python(root: Path, build: Path, wanted: Sequence[str]) -> None:
    """Make a client with openapi-python-client, and import all of it."""
    target = _empty(build / "python")
    programs = target / "venv" / "bin"
    run([sys.executable, "-m", "venv", target / "venv"], cwd=root)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    run([programs / "python", *install, "-r", "requirements/clients.txt"], cwd=root)
    made = target / "client"
    # It formats what it makes with its own ruff.
    begin: list[str | Path] = ["env", f"PATH={programs}:/usr/bin:/bin"]
    client: Sequence[str | Path] = (
        programs / "openapi-python-client",
        *("generate", "--path", root / _DOCUMENT),
        *("--output-path", made, "--meta", "none", "--fail-on-warning"),
    )
    run([*begin, *client], cwd=target)
    modules = [one for one in (made / "api").rglob("*.py") if one.stem != "__init__"]
    require(wanted, [one.stem for one in modules])
    names = [".".join(one.relative_to(target).with_suffix("").parts) for one in modules]
    run([programs / "python", "-W", "error", "-c", f"import {', '.join(names)}"], cwd=target)


def typescript(root: Path, build: Path, wanted: Sequence[str]) -> None:
    """Make types with openapi-typescript, and check them with the compiler."""
    target = _empty(build / "typescript")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(root / _HERE / name, target)
    run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=target)
    made = target / "api.ts"
    programs = target / "node_modules" / ".bin"
    run([programs / "openapi-typescript", root / _DOCUMENT, "--output", made], cwd=target)
    _, _, operations = made.read_text(encoding="utf-8").partition("export interface operations {")
    require(wanted, re.findall(r"^    (\w+): \{", operations, re.MULTILINE))
    run([programs / "tsc", "--noEmit", "--strict", "--target", "es2022", made], cwd=target)


def go(root: Path, build: Path, wanted: Sequence[str]) -> None:
    """Make a client with oapi-codegen, and build it."""
    target = _empty(build / "go")
    for name in ("go.mod", "go.sum"):
        shutil.copy(root / _HERE / name, target)
    # The download is a command of its own: it reports what it downloads.
    run(["go", "mod", "download"], cwd=target)
    made = target / "client.go"
    command = ["go", "tool", "oapi-codegen", "-generate", "types,client", "-package", "busbar"]
    run([*command, "-o", made, root / _DOCUMENT], cwd=target)
    methods = re.findall(r"^func \(c \*Client\) (\w+)\(", made.read_text("utf-8"), re.MULTILINE)
    require(wanted, methods)
    run(["go", "vet", "."], cwd=target)


GENERATORS: Final = MappingProxyType[str, Generate](
    {"Python": python, "TypeScript": typescript, "Go": go}
)


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
