"""Programs in other languages: how each is built and run."""

import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
BUILD: Final = HERE.parents[1] / "build" / "interop"
BUILD_SECONDS: Final = 900
RUN_SECONDS: Final = 180


class InteropError(Exception):
    """A program cannot be built or run; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program: the tools that it needs, and the commands that build and run it.

    ``name`` is its folder here. ``tools`` maps each command to the Debian package that has it.
    ``copied`` are files that have to be in the folder where it is built.
    """

    name: str
    tools: Mapping[str, str]
    build: Sequence[Sequence[str]]
    run: Sequence[str]
    copied: Sequence[str] = ()

    @property
    def folder(self) -> Path:
        """The folder in which it is built."""
        return BUILD / self.name

    def missing(self) -> dict[str, str]:
        """Return the tools that are not on this machine, with their packages."""
        return {tool: name for tool, name in self.tools.items() if shutil.which(tool) is None}

    def prepare(self) -> None:
        """Build the program.

        Raises:
            InteropError: a command failed.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in self.copied:
            shutil.copy(HERE / self.name / name, self.folder)
        for command in self.build:
            _run(command, cwd=self.folder, seconds=BUILD_SECONDS)

    def answer(self, text: str, *more: str) -> str:
        """Return what the program prints when it reads ``text``; ``more`` are its arguments.

        Raises:
            InteropError: the program failed.
        """
        return _run([*self.run, *more], cwd=self.folder, seconds=RUN_SECONDS, text=text)


def check_tools(programs: Iterable[Program]) -> None:
    """Refuse to run without all tools.

    Raises:
        InteropError: a tool is missing; none is left out.
    """
    missing = {tool: name for one in programs for tool, name in one.missing().items()}
    if missing:
        raise InteropError(
            f"{', '.join(missing)} is missing on this machine. "
            f"Install it: apt-get install {' '.join(sorted(set(missing.values())))}"
        )


def _run(command: Sequence[str], *, cwd: Path, seconds: float, text: str = "") -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the commands are those of the programs
            command,
            cwd=cwd,
            input=text,
            encoding="utf-8",
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InteropError(f"{' '.join(command)} did not end in {seconds:.0f} s") from error
    if done.returncode:
        raise InteropError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
