"""``make new-service NAME=billing``: write a service that passes every check, to be changed."""

import keyword
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Final

from busbar.kernel.errors import ConfigurationError
from busbar.messages.topics import SERVICES

ROOT: Final = Path(__file__).resolve().parents[1]
TOPICS: Final = Path("services") / "busbar" / "messages" / "topics.py"

_TEMPLATES: Final = Path(__file__).parent / "templates" / "service"
_NAME: Final = re.compile(r"[a-z][a-z0-9]{1,30}")
_LIST: Final = re.compile(r"^SERVICES = \(([^)]*)\)$", re.MULTILINE)
_LINE_CHARS: Final = 100


def places(name: str) -> Mapping[str, Path]:
    """Return the file that each template makes, from the root of the checkout."""
    folder = Path("services") / "busbar" / name
    return {
        "README.md": folder / "README.md",
        "__init__.py": folder / "__init__.py",
        "domain.py": folder / "domain.py",
        "handlers.py": folder / "handlers.py",
        "app.py": folder / "app.py",
        "test_domain.py": Path("tests") / "unit" / name / f"test_{name}.py",
        "changelog.md": Path("changelog.d") / f"{name}.added.md",
    }


def typed_marker(name: str) -> Path:
    """Return the empty file by which type checkers know that the package is typed."""
    return Path("services") / "busbar" / name / "py.typed"


def add(root: Path, name: str) -> list[Path]:
    """Write the service ``name`` under ``root``; return the files, from the root.

    Raises:
        ConfigurationError: the name does not fit, or there is something with this name.
    """
    _check(root, name)
    words = {"name": name, "Name": name.capitalize()}
    texts = {
        path: Template((_TEMPLATES / f"{template}.txt").read_text(encoding="utf-8"))
        for template, path in places(name).items()
    }
    files = {path: text.substitute(words) for path, text in texts.items()}
    files[typed_marker(name)] = ""
    topics = (root / TOPICS).read_text(encoding="utf-8")
    files[TOPICS] = listed(topics, name)
    try:
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8", newline="\n")
    except BaseException:
        _remove(root, name)
        (root / TOPICS).write_text(topics, encoding="utf-8", newline="\n")
        raise
    return list(files)


def _remove(root: Path, name: str) -> None:
    """Remove the files of a service that ``_check`` found to be new."""
    for path in _own(name):
        if (root / path).is_dir():
            shutil.rmtree(root / path)
        else:
            (root / path).unlink(missing_ok=True)


def _own(name: str) -> list[Path]:
    """Return the folders and files that only the service ``name`` has."""
    files = places(name)
    return [files["app.py"].parent, files["test_domain.py"].parent, files["changelog.md"]]


def listed(topics: str, name: str) -> str:
    """Return the text of ``messages/topics.py`` with ``name`` as the last of its SERVICES.

    Raises:
        ConfigurationError: the list is not found.
    """
    found = _LIST.search(topics)
    if found is None:
        raise ConfigurationError(
            f"{TOPICS} has no line SERVICES = (…).", fix="Add the name to the list by hand."
        )
    names = [*re.findall(r'"([^"]+)"', found[1]), name]
    line = f"SERVICES = ({', '.join(map(_quoted, names))})"
    if len(line) > _LINE_CHARS:
        line = "SERVICES = (\n" + "".join(f"    {_quoted(each)},\n" for each in names) + ")"
    return topics[: found.start()] + line + topics[found.end() :]


def _quoted(name: str) -> str:
    return f'"{name}"'


def _check(root: Path, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is not a name for a service.",
            fix="Use lower-case letters, then digits if you like, as in NAME=billing.",
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in sys.stdlib_module_names:
        raise ConfigurationError(
            f"{name} is a word or a module of Python.", fix="Choose another name."
        )
    compose = (root / "compose.yaml").read_text(encoding="utf-8")
    if name in (*SERVICES, "busbar") or re.search(rf"^(x-|  ){name}:", compose, re.MULTILINE):
        raise ConfigurationError(
            f"{name} is taken by a service or a name in compose.yaml.", fix="Choose another name."
        )
    _check_free(root, name)


def _check_free(root: Path, name: str) -> None:
    """Refuse a name if one of its files or its module exists: nothing may be overwritten."""
    module = Path("services") / "busbar" / f"{name}.py"
    for path in (*_own(name), module):
        if (root / path).exists():
            raise ConfigurationError(
                f"{name} is taken: {path} exists.", fix="Choose another name, or remove it."
            )


def main(arguments: Sequence[str]) -> int:
    """Add the service that ``arguments`` name; return the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: make new-service NAME=billing\n")
        return 2
    try:
        written = add(ROOT, arguments[0])
    except ConfigurationError as error:
        sys.stderr.write(f"error: {error.problem}\nfix: {error.fix}\n")
        return 1
    except OSError as error:
        sys.stderr.write(
            f"error: {error}; nothing was added.\nfix: Make it writable, then repeat.\n"
        )
        return 1
    sys.stdout.writelines(f"wrote   {path}\n" for path in written)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
