"""Names of messages on disk and on the bus, and the root of the checkout."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from busbar.kernel.errors import ConfigurationError
from busbar.messages import topics
from busbar.messages.base import Intent, Message

SCHEMAS = "schemas"
ASYNCAPI = "contracts/asyncapi.yaml"

Kind = Literal["intent", "fact"]

_TYPE = re.compile(r"busbar\.([a-z][a-z0-9-]*)\.([a-z][a-z0-9-]*)\.v([1-9][0-9]*)")
_SCHEMA = re.compile(r"schemas/[^/]+/[^/]+/v[1-9][0-9]*\.json")
_EXAMPLE = re.compile(r"(schemas/[^/]+/[^/]+)/examples/(v[1-9][0-9]*)-[1-9][0-9]*\.json")


@dataclass(frozen=True, slots=True)
class MessageName:
    """The parts of a type, ``busbar.<family>.<verb>.v<version>``."""

    family: str
    verb: str
    version: int

    @classmethod
    def parse(cls, type_: str) -> "MessageName":
        """Read a CloudEvents type.

        Raises:
            ConfigurationError: ``type_`` does not follow busbar's grammar.
        """
        if not (match := _TYPE.fullmatch(type_)):
            raise ConfigurationError(
                f"{type_!r} is not the type of a busbar message.",
                fix="Name it busbar.<family>.<verb>.v<n>, in lower case with hyphens.",
            )
        return cls(match[1], match[2], int(match[3]))

    @property
    def urn(self) -> str:
        """The schema's ``$id``."""
        return f"urn:busbar:schema:{self.family}:{self.verb}:v{self.version}"

    @property
    def schema_path(self) -> str:
        """The path of the schema, from the root of the checkout."""
        return f"{SCHEMAS}/{self.family}/{self.verb}/v{self.version}.json"

    def example_path(self, number: int) -> str:
        """Return the path of the ``number``-th example, counted from 1."""
        return f"{SCHEMAS}/{self.family}/{self.verb}/examples/v{self.version}-{number}.json"


def kind_of(message: type[Message]) -> Kind:
    """Return the kind of ``message``."""
    return "intent" if issubclass(message, Intent) else "fact"


def topics_of(message: type[Message]) -> tuple[str, ...]:
    """Return every topic of ``message``; a dead letter has one for each service."""
    if "{service}" not in message.TOPIC:
        return (message.TOPIC,)
    return tuple(message.TOPIC.replace("{service}", service) for service in topics.SERVICES)


def is_schema(path: str) -> bool:
    """Return whether ``path`` is the path of a version of a message's schema."""
    return _SCHEMA.fullmatch(path) is not None


def schema_of_example(path: str) -> str | None:
    """Return the schema of the example at ``path``; None if it is not an example's path."""
    match = _EXAMPLE.fullmatch(path)
    return f"{match[1]}/{match[2]}.json" if match else None


def find_root(given: Path | None) -> Path:
    """Return the checkout's root: ``given``, or the nearest folder with schemas and services.

    Raises:
        ConfigurationError: there is no such folder.
    """
    if given is not None:
        if not given.is_dir():
            raise ConfigurationError(
                f"--root {given} is not a folder.", fix="Name the folder that contains schemas/."
            )
        return given.resolve()
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / SCHEMAS).is_dir() and (folder / "services").is_dir():
            return folder
    raise ConfigurationError(
        f"No folder from {here} upwards contains both schemas/ and services/.",
        fix="Run this inside a checkout of busbar, or name it with --root.",
    )
