"""The YAML files in folders, in an order that does not depend on the file system."""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from busbar.kernel.errors import ConfigurationError

_SUFFIXES: Final = frozenset({".yaml", ".yml"})


def yaml_files(paths: Iterable[Path], variable: str) -> list[Path]:
    """List the files to read, each once, in an order that does not depend on the file system.

    ``variable`` is the setting that names ``paths``, for errors.
    """
    found: dict[str, Path] = {}
    for given in paths:
        mode = mode_of(given)
        if mode is None:
            raise ConfigurationError(
                f"The folder {given} does not exist.",
                fix=f"Create it, or correct {variable}.",
            )
        files = sorted(_search(given, set())) if stat.S_ISDIR(mode) else [given]
        for path in files:
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


def _search(folder: Path, searched: set[str]) -> Iterator[Path]:
    """Yield the files in ``folder`` and below, links without a target included.

    ``searched`` has the real paths of the folders that were searched, so that links can form a
    cycle.
    """
    real = os.path.realpath(folder)
    if real in searched:
        return
    searched.add(real)
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise _unsearchable(folder, error) from error
    for path in paths:
        if path.name.startswith("."):
            continue
        mode = mode_of(path)
        if mode is not None and stat.S_ISDIR(mode):
            yield from _search(path, searched)
        elif mode is None or path.suffix.lower() in _SUFFIXES:
            yield path


def mode_of(path: Path) -> int | None:
    """Return the type and permissions of ``path``, or None if it or its target does not exist."""
    try:
        return path.stat().st_mode
    except PermissionError as error:
        raise _unsearchable(path, error) from error
    except OSError:
        return None


def _unsearchable(path: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{path} cannot be searched for promises and rules ({error.strerror}).",
        fix="Make the folder and those above it readable and searchable, or move it elsewhere.",
    )
