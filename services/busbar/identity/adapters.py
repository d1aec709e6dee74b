"""Reads the file that declares principals."""

from pathlib import Path

from pydantic import ValidationError

from busbar.identity.domain import PrincipalsFile, problems_in
from busbar.kernel.errors import ConfigurationError
from busbar.messages.validation import field_errors
from busbar.runtime.core import documents
from busbar.runtime.core.document import Document, InvalidDocumentError

_MAX_NAMED = 10


def load_principals(path: Path) -> PrincipalsFile:
    """Return the principals that the file at ``path`` declares.

    Raises:
        ConfigurationError: it is broken; without it, it is not known who may do what. The error
            names every problem with its line.
    """
    try:
        document = documents.read(path)
    except InvalidDocumentError as error:
        raise _broken(path, [str(error)]) from error
    try:
        file = PrincipalsFile.model_validate(document.data)
    except ValidationError as error:
        found = [
            _located(document, one.location, str(one))
            for one in field_errors(error, PrincipalsFile)
        ]
        raise _broken(path, found) from None
    if found := [
        _located(document, one.place, f"{one.problem} ({one.fix})") for one in problems_in(file)
    ]:
        raise _broken(path, found)
    return file


def _located(document: Document, place: tuple[str | int, ...], problem: str) -> str:
    return f"line {document.position_of(place).line}: {problem}"


def _broken(path: Path, problems: list[str]) -> ConfigurationError:
    more = f"; and {len(problems) - _MAX_NAMED} more" if len(problems) > _MAX_NAMED else ""
    return ConfigurationError(
        f"The file of principals {path} is broken: {'; '.join(problems[:_MAX_NAMED])}{more}.",
        fix="Correct it, then start the platform again.",
    )
