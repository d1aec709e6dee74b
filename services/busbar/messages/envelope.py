"""The envelope: a CloudEvent 1.0.2 (https://github.com/cloudevents/spec), read strictly."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A CloudEvent whose required attributes are present and well-formed.

    ``data`` is the parsed JSON and ``body`` the bytes that it was parsed from (for a structured
    event: the bytes of the whole event). ``extensions`` holds every other attribute as text.
    """

    id: str
    source: str
    type: str
    subject: str | None = None
    time: datetime | None = None
    dataschema: str | None = None
    extensions: Mapping[str, str] = field(default_factory=dict)
    data: Any = None
    body: bytes = field(default=b"", repr=False)
    key: str | None = None


class Unreadable(ValueError):
    """A record is not a valid CloudEvent.

    ``code`` is one of :data:`CODES`; ``detail`` is a sentence that says what to do.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


CODES = frozenset(
    {
        "not_a_cloudevent",  # neither ce_ headers nor application/cloudevents+json
        "missing_attribute",
        "empty_attribute",
        "bad_attribute",  # wrong form: name, type, control characters, not UTF-8, too long
        "duplicate_attribute",  # the same header twice, or the same JSON key twice
        "bad_time",
        "bad_specversion",
        "bad_content_type",  # data that is not JSON by its declared type
        "bad_json",
        "no_data",
        "too_large",
        "too_many_headers",
        "batch_not_supported",
        "bad_key",
    }
)
