"""The image and the containers as data: ``infra/docker/Dockerfile``, ``compose.yaml``, and more."""

import fnmatch
import json
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from busbar.runtime.core.settings import Settings
from meta.checkout import ROOT, text
from meta.env_example import names

DOCKERFILE = ROOT / "infra" / "docker" / "Dockerfile"
SECRETS = ROOT / "infra" / "docker" / "secrets.sh"
COMPOSE = ROOT / "compose.yaml"
PROMETHEUS = ROOT / "infra" / "prometheus" / "prometheus.yml"
IGNORED = ROOT / ".dockerignore"
ENDS = "migrate"
"""The container that ends once its work is done."""
STORES = ("postgres", "databases")
KNOWN = {name for key, field in Settings.model_fields.items() for name in names(key, field)}
"""Every variable that a setting is read from."""
VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+)(?P<kind>:[?-])(?P<rest>[^}]*)\}")


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction of the Dockerfile; ``stage`` 0 is before the first FROM."""

    stage: int
    word: str
    rest: str

    @property
    def words(self) -> list[str]:
        """The arguments of an exec form, or those of a shell form without its options."""
        if self.rest.startswith("["):
            return [str(word) for word in json.loads(self.rest)]
        return [word for word in shlex.split(self.rest) if not word.startswith("--")]


@cache
def steps() -> tuple[Step, ...]:
    """Every instruction, with the values of ARG in it."""
    lines = [line for line in text(DOCKERFILE).splitlines() if not line.startswith("#")]
    found: list[Step] = []
    arguments: dict[str, str] = {}
    stage = 0
    for line in re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines():
        if not line.strip():
            continue
        word, _, rest = line.partition(" ")
        stage += word == "FROM"
        if word == "ARG":
            name, _, value = rest.partition("=")
            arguments[name] = value
        for name, value in arguments.items():
            rest = rest.replace(f"${{{name}}}", value)
        found.append(Step(stage, word, rest.strip()))
    return tuple(found)


def final(word: str) -> list[Step]:
    """The instructions ``word`` of the last stage, which is the image."""
    last = steps()[-1].stage
    return [step for step in steps() if step.stage == last and step.word == word]


def copied() -> list[str]:
    """Return the files and folders that the builder takes from the checkout."""
    return [
        name
        for step in steps()
        if step.word == "COPY" and "--from=" not in step.rest
        for name in step.words[:-1]
    ]


def image_environment() -> dict[str, str]:
    """Return the variables that the image sets."""
    pairs = (word.partition("=") for step in final("ENV") for word in shlex.split(step.rest))
    return {name: value for name, _, value in pairs}


@cache
def compose() -> dict[str, Any]:
    """``compose.yaml``, its variables as they are written."""
    loaded: dict[str, Any] = yaml.safe_load(text(COMPOSE))
    return loaded


def containers() -> dict[str, dict[str, Any]]:
    """Every container by its name."""
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def ours() -> dict[str, dict[str, Any]]:
    """The containers of the image that is built here."""
    return {name: found for name, found in containers().items() if "build" in found}


def filled(value: str, values: Mapping[str, str]) -> str:
    """``value`` with its variables, as Compose reads them."""

    def one(match: re.Match[str]) -> str:
        default = match["rest"] if match["kind"] == ":-" else None
        found = values.get(match["name"]) or default
        if found is None:
            raise KeyError(match["name"])
        return found

    return VARIABLE.sub(one, value)


def environment(name: str, values: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process in the container ``name`` of our image."""
    own = ours()[name]["environment"]
    return image_environment() | {key: filled(value, values) for key, value in own.items()}


def make_secrets(folder: Path) -> dict[str, str]:
    """Run the documented step in ``folder``; return what it writes."""
    subprocess.run(["sh", SECRETS], cwd=folder, check=True)  # noqa: S603, S607 - our own script
    lines = (folder / ".env").read_text(encoding="ascii").splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def published(container: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """Address, port outside and port inside of everything that ``container`` publishes."""
    parts = [str(port).rsplit(":", 2) for port in container.get("ports", [])]
    return [(part[0] if len(part) > 2 else "", int(part[-2]), int(part[-1])) for part in parts]


def is_sent(name: str) -> bool:
    """Return whether ``.dockerignore`` admits the file ``name``; the last pattern decides.

    https://docs.docker.com/build/concepts/context/#syntax
    """
    sent = True
    for line in text(IGNORED).splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        if _covers(pattern.removeprefix("!"), name):
            sent = pattern.startswith("!")
    return sent


def _covers(pattern: str, name: str) -> bool:
    parts = name.split("/")
    above = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    if pattern.startswith("**/"):
        return any(fnmatch.fnmatch(part, pattern[3:]) for part in parts)
    return any(
        place.count("/") == pattern.count("/") and fnmatch.fnmatch(place, pattern)
        for place in above
    )
