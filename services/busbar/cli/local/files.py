"""The files of promises, rules and environments: those of this shell, and those of a platform."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from busbar.cli.local import home as home_folder
from busbar.runtime.core.settings import Settings

_KEY: Final = "files"


def files_of(settings: Settings) -> dict[str, list[str]]:
    """Return the folders and files that ``settings`` name, by their variable."""

    def absolute(paths: Sequence[Path]) -> list[str]:
        return [str(path.absolute()) for path in paths]

    return {
        "BUSBAR_PROMISES": absolute(settings.promises),
        "BUSBAR_POLICIES": absolute(settings.policies),
        "BUSBAR_ENVIRONMENTS": absolute([settings.environments] if settings.environments else []),
    }


def state_of(files: Mapping[str, Sequence[str]] | None) -> dict[str, object]:
    """Return what ``up.json`` keeps of the ``files`` of a platform."""
    return {} if files is None else {_KEY: dict(files)}


def other_files(settings: Settings) -> str | None:
    """Return how the files of the platform that runs in the home differ from those of this shell.

    None if they are the same, if no platform runs there, or if it does not say.
    """
    if home_folder.running_pid(settings.home) is None:
        return None
    theirs = home_folder.read_state(settings.home).get(_KEY)
    if not isinstance(theirs, dict):
        return None
    differences = [
        f"{variable} is {_shown(theirs.get(variable))} there and {_shown(ours)} here"
        for variable, ours in files_of(settings).items()
        if theirs.get(variable) != ours
    ]
    if not differences:
        return None
    return f"the platform that runs in {settings.home} uses other files: {'; '.join(differences)}"


def _shown(paths: object) -> str:
    return ":".join(map(str, paths)) if isinstance(paths, list) and paths else "not set"
