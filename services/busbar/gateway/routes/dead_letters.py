"""``/v1/dead-letters``: records that a service could not handle."""

import base64
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from busbar.gateway.routes.dependencies import Dependencies, Use
from busbar.gateway.routes.parameters import After, Limit
from busbar.gateway.routes.problems import BAD_PARAMETER, problems, require_found
from busbar.gateway.routes.reading import Read
from busbar.kernel.errors import ConfigurationError, Reject
from busbar.messages.http import DeadLetterPage, DecryptedDeadLetter
from busbar.runtime.consume.dead_letters import unpack
from busbar.runtime.http.problems import ProblemError

router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"])


@router.get("", response_model=DeadLetterPage, responses=problems(_400=BAD_PARAMETER))
async def list_dead_letters(
    views: Read,
    service: Annotated[
        str | None, Query(description="Only dead letters of this service, as `policy`.")
    ] = None,
    after: After = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """List dead letters, oldest first."""
    return await views.dead_letters(service=service, after=after, limit=limit)


@router.get(
    "/{dead_letter}",
    response_model=DecryptedDeadLetter,
    responses=problems(
        _404="There is no such dead letter.",
        _409="Its record cannot be decrypted with this installation's key.",
    ),
)
async def get_dead_letter(
    dead_letter: Annotated[str, Path(description="The dead letter's id.")], views: Read, use: Use
) -> dict[str, Any]:
    """Return one dead letter with its record decrypted."""
    found = await views.dead_letter(dead_letter)
    known = dict(
        require_found(found, f"dead letter {dead_letter}", listed_by="busbar dead-letters list")
    )
    known["record"] = await _decrypt(dead_letter, known.pop("sealed"), use)
    return known


async def _decrypt(dead_letter: str, sealed: str, use: Dependencies) -> dict[str, Any]:
    if not sealed:
        raise ProblemError(
            HTTPStatus.CONFLICT,
            "not_published",
            "the record is too large to be published; only the service that could not handle it"
            " has it",
            fix="redrive the dead letter, or have its producer send a smaller record",
        )
    try:
        packed = use.cipher.decrypt(base64.b64decode(sealed), context=dead_letter)
        record = unpack(await use.personal.open_record(packed))
    except Reject as error:
        raise ProblemError(
            HTTPStatus.CONFLICT, error.code, error.detail, fix="discard the dead letter"
        ) from error
    except ConfigurationError as error:
        raise ProblemError(HTTPStatus.CONFLICT, "sealed", error.problem, fix=error.fix) from error
    except ValueError as error:
        raise ProblemError(
            HTTPStatus.CONFLICT,
            "sealed",
            "the dead letter does not hold an encrypted record",
            fix="find its publisher in the audit log",
        ) from error
    return {
        "key": _text(record.key),
        "headers": [[_text(_raw(name)), _text(value)] for name, value in record.headers],
        "value": _text(record.value),
    }


def _raw(name: str) -> bytes:
    """Return the bytes of a header's name; those that are not UTF-8 are surrogates (PEP 383)."""
    return name.encode(errors="surrogateescape")


def _text(value: bytes | None) -> str | None:
    """Return UTF-8 as it is, and anything else as base64 with the prefix ``base64:``."""
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(value).decode()
