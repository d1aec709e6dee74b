"""Finds the tools that can run a broker: Java, Maven, a running Docker engine."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

MIN_JAVA = 17
"""The oldest Java that runs Kafka 4 (https://kafka.apache.org/documentation/#java)."""

INSTALL_JAVA = "Install it: apt-get install openjdk-17-jre-headless (or any Java 17 or later)."
INSTALL_MAVEN = "Install it: apt-get install maven."
START_DOCKER = "Start the Docker engine (`docker info` must answer), or do without Docker."

# Maven colours its output even when it is not a terminal.
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_QUOTED = re.compile(r'\bversion "(?P<version>[^"]+)"')
_PLAIN = re.compile(r"^(?:openjdk|java) (?P<version>\d[\w.+-]*)", re.MULTILINE)
_MAVEN = re.compile(r"\bApache Maven (?P<version>\d[\w.+-]*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A tool that this machine has or lacks.

    ``problem`` is None exactly when it can be used; ``fix`` says how to get it.
    """

    name: str
    fix: str
    version: str | None = None
    path: Path | None = None
    problem: str | None = None

    @property
    def usable(self) -> bool:
        """True if the tool can be used."""
        return self.problem is None


def java_version(output: str) -> str | None:
    """Return the version in the output of ``java -version`` or ``java --version``."""
    match = _QUOTED.search(output) or _PLAIN.search(output)
    return match["version"] if match else None


def java_major(version: str) -> int | None:
    """Return 17 for ``17.0.15``, ``17-ea`` and ``17``; 8 for ``1.8.0_412``."""
    match = re.match(r"(?:1\.)?(\d+)", version)
    return int(match[1]) if match else None


def find_java(*, java_home: Path | None = None, search_path: str | None = None) -> Tool:
    """Find Java in ``java_home`` if given, else on ``search_path`` (None: the PATH)."""
    java = Tool(name=f"Java {MIN_JAVA}", fix=INSTALL_JAVA)
    if java_home is None:
        command = shutil.which("java", path=search_path)
        if command is None:
            return _missing(java, "there is no java on the PATH")
    else:
        command = shutil.which(str(java_home / "bin" / "java"))
        if command is None:
            return Tool(
                name=java.name,
                problem=f"JAVA_HOME is {java_home}, but there is no bin/java in it",
                fix="Set JAVA_HOME to a Java 17 or later, or unset it.",
            )
    output = _run(command, "-version", timeout=15)
    version = java_version(output.text)
    major = java_major(version) if version else None
    if not output.succeeded or version is None or major is None:
        return _missing(java, f"{command} -version does not work: {output.first_line}")
    if major < MIN_JAVA:
        return _missing(java, f"{command} is Java {version}, which is too old")
    return Tool(name=java.name, fix=java.fix, version=version, path=Path(command))


def find_maven(*, search_path: str | None = None) -> Tool:
    """Find Maven on ``search_path`` (None: the PATH)."""
    maven = Tool(name="Maven", fix=INSTALL_MAVEN)
    command = shutil.which("mvn", path=search_path)
    if command is None:
        return _missing(maven, "there is no mvn on the PATH")
    output = _run(command, "-B", "-version", timeout=30)
    match = _MAVEN.search(output.text)
    if not output.succeeded or match is None:
        return _missing(maven, f"{command} -version does not work: {output.first_line}")
    return Tool(name=maven.name, fix=maven.fix, version=match["version"], path=Path(command))


def find_docker(*, search_path: str | None = None, timeout: float = 5.0) -> Tool:
    """Find a Docker *engine* that answers within ``timeout`` seconds; the command is not enough."""
    docker = Tool(name="Docker engine", fix=START_DOCKER)
    command = shutil.which("docker", path=search_path)
    if command is None:
        return _missing(docker, "there is no docker on the PATH")
    output = _run(command, "info", "--format", "{{.ServerVersion}}", timeout=timeout)
    # Older clients succeed without an engine and print an empty version or only their complaint.
    match = re.search(r"^\d[\w.+-]*$", output.text, re.MULTILINE)
    if not output.succeeded or match is None:
        return _missing(docker, f"the docker command is there, but no engine: {output.last_line}")
    return Tool(name=docker.name, fix=docker.fix, version=match[0], path=Path(command))


def without_colour(text: str) -> str:
    """Return ``text`` without the sequences that colour it on a terminal."""
    return _COLOUR.sub("", text)


def _missing(tool: Tool, problem: str) -> Tool:
    return Tool(name=tool.name, fix=tool.fix, problem=problem)


@dataclass(frozen=True, slots=True)
class _CommandOutput:
    succeeded: bool
    text: str

    @property
    def first_line(self) -> str:
        return (self.text.strip().splitlines() or ["it prints nothing"])[0].strip(" .?")

    @property
    def last_line(self) -> str:
        return (self.text.strip().splitlines() or ["it prints nothing"])[-1].strip(" .?")


def _run(*command: str, timeout: float) -> _CommandOutput:
    """Run a command; failing to run and not ending in time are results too."""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command that was found on the PATH
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _CommandOutput(succeeded=False, text=f"no answer within {timeout:g} seconds")
    except OSError as error:
        return _CommandOutput(succeeded=False, text=str(error))
    text = without_colour(done.stdout.decode(errors="replace"))
    return _CommandOutput(succeeded=done.returncode == 0, text=text)
