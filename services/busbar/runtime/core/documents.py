"""Reads what people wrote: a JSON text as JSON, anything else as YAML (ADR 29).

A file whose name ends in ``.json`` is JSON. Elsewhere a text that has the form of JSON is read as
JSON, so that ``1e3`` and tabs mean in it what JSON says, and other texts are YAML.
"""

from pathlib import Path
from typing import Final

from busbar.runtime.core import json_text, yaml
from busbar.runtime.core.document import MAX_BYTES, Document, InvalidDocumentError, too_large

_JSON: Final = ".json"
_JSON_BEGINS: Final = ("{", "[", '"')


def read(path: Path) -> Document:
    """Load the only document of the file at ``path``.

    Raises:
        InvalidDocumentError: the file cannot be read, is too large, or cannot be loaded.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidDocumentError(
            f"it cannot be read ({error.strerror})", fix="make it a readable file"
        ) from error
    if len(content) > MAX_BYTES:
        raise too_large(MAX_BYTES)
    return load(decode(content), name=path.name)


def decode(content: bytes) -> str:
    """Return the text that ``content`` encodes in UTF-8.

    Raises:
        InvalidDocumentError: it is not UTF-8.
    """
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidDocumentError(
            f"it is not UTF-8 at byte {error.start + 1}", fix="save it as UTF-8"
        ) from error


def load(text: str, *, name: str = "") -> Document:
    """Load the only document in ``text``, the content of the file ``name``.

    Raises:
        InvalidDocumentError: ``text`` is empty, or not one document as above.
    """
    documents = load_all(text, name=name)
    if not documents or (len(documents) == 1 and documents[0].data is None):
        raise InvalidDocumentError("it is empty", fix="write something into it")
    if len(documents) > 1:
        raise InvalidDocumentError(
            "it holds more than one document",
            fix="remove the line --- and put the rest into a file of its own",
            position=documents[1].position_of(()),
        )
    return documents[0]


def load_all(text: str, *, name: str = "", max_bytes: int = MAX_BYTES) -> list[Document]:
    """Load the documents in ``text``, the content of the file ``name``.

    Documents in YAML are separated by ``---``; an empty one is None. JSON is one document.

    Raises:
        InvalidDocumentError: ``text`` is too large, or one of its documents cannot be loaded.
    """
    if name.lower().endswith(_JSON):
        return [json_text.load(text, max_bytes=max_bytes)]
    if text.lstrip("\ufeff \t\r\n").startswith(_JSON_BEGINS):
        try:
            return [json_text.load(text, max_bytes=max_bytes)]
        except json_text.NotJsonError:
            pass  # YAML begins like this as well
    return yaml.load_all(text, max_bytes=max_bytes)
