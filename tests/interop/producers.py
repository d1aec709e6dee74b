"""The producers: how the program of each SDK is built and run."""

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
BUILD: Final = HERE.parents[1] / "build" / "interop"
BUILD_SECONDS: Final = 900
RUN_SECONDS: Final = 180


class InteropError(Exception):
    """A producer cannot be built or run; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Producer:
    """A program with one SDK: the tools that it needs, and the commands that build and run it.

    ``tools`` maps each command to the Debian package that has it. ``copied`` are files that have to
    be in the folder where it is built.
    """

    language: str
    tools: Mapping[str, str]
    build: Sequence[Sequence[str]]
    run: Sequence[str]
    copied: Sequence[str] = ()

    @property
    def folder(self) -> Path:
        """The folder in which it is built."""
        return BUILD / self.language

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
            shutil.copy(HERE / self.language / name, self.folder)
        for command in self.build:
            _run(command, cwd=self.folder, seconds=BUILD_SECONDS)

    def publish(self, plan: Mapping[str, Any]) -> None:
        """Publish the events of ``plan``.

        Raises:
            InteropError: the program failed.
        """
        _run(self.run, cwd=self.folder, seconds=RUN_SECONDS, text=json.dumps(plan))


def _run(command: Sequence[str], *, cwd: Path, seconds: float, text: str = "") -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the commands are those below
            command,
            cwd=cwd,
            input=text,
            encoding="utf-8",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InteropError(f"{' '.join(command)} did not end in {seconds:.0f} s") from error
    if done.returncode:
        raise InteropError(f"{' '.join(command)} failed:\n{done.stdout}")


PRODUCERS: Final = (
    Producer(
        "javascript",
        tools={"node": "nodejs", "npm": "npm"},
        copied=("package.json", "package-lock.json", "produce.js"),
        build=[["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]],
        run=["node", "produce.js"],
    ),
    Producer(
        "go",
        tools={"go": "golang-go"},
        copied=("go.mod", "go.sum", "main.go"),
        build=[["go", "build", "-o", "produce", "."]],
        run=["./produce"],
    ),
    Producer(
        "java",
        tools={
            "java": "openjdk-17-jdk-headless",
            "javac": "openjdk-17-jdk-headless",
            "mvn": "maven",
        },
        build=[
            [
                *("mvn", "--batch-mode", "--quiet", "--file", str(HERE / "java" / "pom.xml")),
                *(f"-Dbuilt={BUILD / 'java'}", "compile", "dependency:copy-dependencies"),
            ]
        ],
        run=["java", "-cp", "classes:lib/*", "dev.busbar.interop.Produce"],
    ),
    Producer(
        "python",
        tools={},
        build=[],
        run=[sys.executable, str(HERE / "python" / "produce.py")],
    ),
)
