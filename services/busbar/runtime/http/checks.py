"""Refuses what a request asks for and no route would act on: nothing is ignored silently.

Of HTTP's optional features none is left out without a word: a content coding is refused with 415,
an expectation with 417, a media type that no answer has with 406, and a precondition, another
method in a header, a body where none is read, a parameter that is unknown or there twice with 400.

Left to HTTP's own rules, because the answer shows that they were not followed: ``Range``,
``If-None-Match``, ``If-Modified-Since`` and ``Accept-Language``.

Source: https://www.rfc-editor.org/rfc/rfc9110
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_to_bytes

from busbar.kernel.suggest import did_you_mean, listed
from busbar.kernel.text import truncate
from busbar.messages.http import NDJSON
from busbar.runtime.http.refusal import MEDIA_TYPE, ProblemError

Headers = Mapping[str, Sequence[str]]
"""The values of each header by its name in lower case."""

ANSWERED: Final = ("application/json", NDJSON)
"""The media types of the answers of a route that declares no others."""

_SINGLE: Final = (
    *("authorization", "content-length", "expect", "host", "traceparent"),
    *("if-match", "if-unmodified-since"),
)
_NOT_CHECKED: Final = (
    "is a precondition that would not be checked",
    "leave it out; expected_generation in an intent is such a condition",
)
_NO_OVERRIDE: Final = (
    "would not change the method",
    "leave it out, and send the request with the method that is meant",
)
_WITHOUT_EFFECT: Final[Mapping[str, tuple[str, str]]] = {
    **dict.fromkeys(("if-match", "if-unmodified-since"), _NOT_CHECKED),
    **dict.fromkeys(("x-http-method-override", "x-http-method", "x-method-override"), _NO_OVERRIDE),
    "idempotency-key": (
        "would have no effect",
        "leave it out; the same id and source of an event are the same intent",
    ),
}
_CONTINUE: Final = "100-continue"
_BAD_ESCAPE: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_NOTHING_ACCEPTABLE: Final = re.compile(r"q=0(?:\.0{0,3})?")


def by_name(pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the headers of an ASGI scope by name."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
    return found


def check_headers(headers: Headers, *, reads_body: bool, answers: Sequence[str] = ANSWERED) -> None:
    """Refuse headers that ask for something that the route, with its ``answers``, does not do.

    Raises:
        ProblemError: there is one; the problem names it.
    """
    for name in _SINGLE:
        if len(headers.get(name, ())) > 1:
            raise _bad("duplicate_header", f"the header {name} is there twice", "send it once")
    _check_codings(headers)
    if _value(headers, "expect", _CONTINUE).lower() != _CONTINUE:
        raise ProblemError(
            HTTPStatus.EXPECTATION_FAILED,
            "unsupported_expectation",
            "an expectation other than 100-continue cannot be met",
            fix="leave the header Expect out",
        )
    for name, (detail, fix) in _WITHOUT_EFFECT.items():
        if name in headers:
            raise _bad("unsupported_header", f"the header {name} {detail}", fix)
    has_body = _value(headers, "content-length", "0") != "0" or "transfer-encoding" in headers
    if has_body and not reads_body:
        raise _bad("unexpected_body", "a body is not read here", "send the request without a body")
    _check_acceptable(headers, (*answers, MEDIA_TYPE))


def _check_codings(headers: Headers) -> None:
    codings = tokens(headers, "content-encoding")
    if any(coding != "identity" for coding in codings):
        raise ProblemError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported_coding",
            "a body with a content coding is not decoded",
            fix="send the body as it is, without Content-Encoding",
            headers={"Accept-Encoding": "identity"},
        )
    if any(coding != "chunked" for coding in tokens(headers, "transfer-encoding")):
        raise ProblemError(
            HTTPStatus.NOT_IMPLEMENTED,
            "unsupported_coding",
            "a transfer coding other than chunked is not decoded",
            fix="send the body as it is, or chunked",
        )


def _check_acceptable(headers: Headers, answers: Sequence[str]) -> None:
    ranges = tokens(headers, "accept")
    if ranges and not any(accepts(one, answers) for one in ranges):
        raise ProblemError(
            HTTPStatus.NOT_ACCEPTABLE,
            "not_acceptable",
            f"answers are {listed(answers)}, and the header Accept takes none of them",
            fix=f"send Accept: {answers[0]}, or leave it out",
        )
    refused = {
        coding.partition(";")[0].strip()
        for coding in tokens(headers, "accept-encoding")
        if _is_refused(coding)
    }
    names = {coding.partition(";")[0].strip() for coding in tokens(headers, "accept-encoding")}
    if "identity" in refused or ("*" in refused and "identity" not in names):
        raise ProblemError(
            HTTPStatus.NOT_ACCEPTABLE,
            "not_acceptable",
            "answers have no content coding, and the header Accept-Encoding demands one",
            fix="allow identity, or leave the header out",
        )


def accepts(media_range: str, answers: Sequence[str]) -> bool:
    """Return whether ``media_range`` of a header Accept takes one of ``answers``."""
    name = media_range.partition(";")[0].strip()
    families = {f"{answer.partition('/')[0]}/*" for answer in answers}
    return name in ("*/*", *families, *answers) and not _is_refused(media_range)


def _is_refused(item: str) -> bool:
    """Return whether the weight of ``item`` is zero."""
    parameters = [part.strip() for part in item.split(";")[1:]]
    return any(_NOTHING_ACCEPTABLE.fullmatch(part) for part in parameters)


def check_query(raw: bytes, known: Mapping[str, bool]) -> None:
    """Refuse a query with parameters that are not ``known``, twice there, or not UTF-8.

    ``known`` has the names, and whether a parameter may be repeated.

    Raises:
        ProblemError: there is one; the problem names it and the closest known name.
    """
    seen: set[str] = set()
    for part in filter(None, raw.split(b"&")):
        name = _decoded(part).partition("=")[0]
        decoded = unquote_to_bytes(name.replace("+", " ")).decode(errors="replace")
        if decoded not in known:
            raise _bad(
                "unknown_parameter",
                f"there is no parameter {truncate(decoded)!r} here",
                did_you_mean(decoded, [*known], otherwise=f"known are: {listed([*known])}"),
            )
        if decoded in seen and not known[decoded]:
            raise _bad("duplicate_parameter", f"{decoded} is there twice", "send it once")
        seen.add(decoded)


def _decoded(part: bytes) -> str:
    """Return ``part``, still percent-encoded, if it encodes UTF-8."""
    try:
        unquote_to_bytes(part).decode()
        text = part.decode("ascii")
    except UnicodeDecodeError:
        text = "%"
    if _BAD_ESCAPE.search(text):
        raise _bad(
            "bad_query",
            "the query is not percent-encoded UTF-8",
            "encode every parameter's name and value (RFC 3986)",
        )
    return text


def _value(headers: Headers, name: str, otherwise: str = "") -> str:
    return next(iter(headers.get(name, ())), otherwise).strip()


def tokens(headers: Headers, name: str) -> list[str]:
    """Return the items of the list header ``name`` in lower case."""
    return [
        item.strip().lower()
        for value in headers.get(name, ())
        for item in value.split(",")
        if item.strip()
    ]


def _bad(code: str, detail: str, fix: str) -> ProblemError:
    return ProblemError(HTTPStatus.BAD_REQUEST, code, detail, fix=fix)
