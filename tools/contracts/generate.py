"""Generation of ``schemas/`` and ``contracts/asyncapi.yaml`` from the message models.

Schemas are JSON Schema 2020-12 (https://json-schema.org/draft/2020-12). The models are the source;
the files are for everyone who does not read Python, and for comparing with the last release.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from busbar.kernel.errors import ConfigurationError
from busbar.messages.base import JsonObject, Message
from tools.contracts.asyncapi import asyncapi_document, asyncapi_text
from tools.contracts.examples import example_events
from tools.contracts.names import (
    ASYNCAPI,
    SCHEMAS,
    MessageName,
    is_schema,
    kind_of,
    schema_of_example,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_FIRST = ("$schema", "$id", "$ref", "title", "description", "x-busbar", "type", "const", "enum")
_LAST = ("additionalProperties", "required", "properties", "$defs")
_MAPS = ("properties", "$defs")


@dataclass(frozen=True, slots=True)
class Changes:
    """The files that :func:`write` wrote and removed, as paths from the root."""

    written: tuple[str, ...]
    removed: tuple[str, ...]


class _Untitled(GenerateJsonSchema):
    """A generator that leaves out the titles of fields, which only repeat their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return False for every field."""
        del schema
        return False


def schema_document(message: type[Message]) -> JsonObject:
    """Return the JSON Schema of ``message``'s data, with its keys in a fixed order."""
    name = MessageName.parse(message.TYPE)
    document = message.model_json_schema(schema_generator=_Untitled)
    document |= {
        "$schema": DIALECT,
        "$id": name.urn,
        "x-busbar": {
            "type": message.TYPE,
            "kind": kind_of(message),
            "topic": message.TOPIC,
            "status": message.STATUS,
        },
    }
    ordered: JsonObject = _ordered(document)
    return ordered


def files(messages: Sequence[type[Message]]) -> dict[str, str]:
    """Return every generated file: path from the root to text.

    Raises:
        ConfigurationError: a type breaks the grammar, or two messages share one.
    """
    documents: dict[str, str] = {}
    for message in messages:
        name = MessageName.parse(message.TYPE)
        if name.schema_path in documents:
            raise ConfigurationError(
                f"Two messages have the type {message.TYPE}.", fix="Give one of them its own name."
            )
        documents[name.schema_path] = json_text(schema_document(message))
        for number, event in enumerate(example_events(message), start=1):
            documents[name.example_path(number)] = json_text(event)
    documents[ASYNCAPI] = asyncapi_text(asyncapi_document(messages))
    return documents


def write(root: Path, messages: Sequence[type[Message]]) -> Changes:
    """Bring the files under ``root`` up to date, and remove those of removed drafts.

    Nothing is written if it raises.

    Raises:
        ConfigurationError: no message generates a published schema any more.
    """
    wanted = files(messages)
    on_disk = generated_on_disk(root)
    gone = sorted(on_disk.keys() - wanted.keys())
    if lost := published(on_disk, gone):
        raise ConfigurationError(
            f"No message generates {', '.join(lost)} any more, and what is published stays.",
            fix="Put the message back into messages/catalogue.py; a new version goes beside it.",
        )
    changed = [path for path, text in wanted.items() if _read(root / path) != text]
    for path in changed:
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(wanted[path], encoding="utf-8", newline="\n")
    for path in gone:
        (root / path).unlink()
        _prune((root / path).parent, until=root / SCHEMAS)
    return Changes(tuple(changed), tuple(gone))


def generated_on_disk(root: Path) -> dict[str, str]:
    """Read the schemas and examples under ``root``: path from the root to text."""
    found: dict[str, str] = {}
    for file in sorted((root / SCHEMAS).rglob("*.json")):
        path = file.relative_to(root).as_posix()
        if is_schema(path) or schema_of_example(path):
            found[path] = file.read_bytes().decode("utf-8", errors="replace")
    return found


def published(on_disk: Mapping[str, str], paths: Iterable[str]) -> list[str]:
    """Return those of ``paths`` that are schemas with the status ``published``."""
    return [path for path in paths if is_schema(path) and status_of(on_disk[path]) == "published"]


def status_of(text: str) -> str | None:
    """Return the status that a schema's text declares; None if it is not a schema of a message."""
    try:
        return str(json.loads(text)["x-busbar"]["status"])
    except (ValueError, KeyError, TypeError):
        return None


def json_text(value: Any) -> str:
    """Return ``value`` as JSON text: two spaces, UTF-8, a newline at the end."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _ordered(schema: Any) -> Any:
    """Sort the keywords of ``schema`` for reading; properties keep the order of the model."""
    if isinstance(schema, list):
        return [_ordered(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    ordered: JsonObject = {}
    for keyword in sorted(schema, key=_rank):
        value = schema[keyword]
        if keyword in {"default", "x-busbar"}:
            ordered[keyword] = value
        elif keyword in _MAPS:
            names = sorted(value) if keyword == "$defs" else value
            ordered[keyword] = {name: _ordered(value[name]) for name in names}
        else:
            ordered[keyword] = _ordered(value)
    return ordered


def _rank(keyword: str) -> tuple[int, int, str]:
    if keyword in _FIRST:
        return (0, _FIRST.index(keyword), "")
    if keyword in _LAST:
        return (2, _LAST.index(keyword), "")
    return (1, 0, keyword)


def _read(file: Path) -> str | None:
    return file.read_bytes().decode("utf-8", errors="replace") if file.is_file() else None


def _prune(folder: Path, *, until: Path) -> None:
    """Remove ``folder`` and those above it that are empty, up to ``until``."""
    while folder != until and not any(folder.iterdir()):
        folder.rmdir()
        folder = folder.parent
