"""Structured logs: one JSON object per line, correlated and redacted."""

import json
import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from contextvars import ContextVar
from functools import lru_cache
from types import MappingProxyType
from typing import Any, TextIO, cast

import orjson
import structlog

from busbar.runtime.telemetry import tracing

SECRET_NAMES = re.compile(
    r"(secret|password|passwd|token|authorization|api[_-]?key|data_key|credential)", re.IGNORECASE
)
SECRET_VALUES = re.compile(r"(whsec_[A-Za-z0-9+/=]+|[Bb]earer\s+\S+|://[^/\s:@]*:[^/\s@]+@)")
REDACTED = "[redacted]"

LONGEST_KEPT = 64
"""Longest field name whose check is cached: some names come from untrusted producers."""

_AS_JSON = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME

_FIELDS: ContextVar[Mapping[str, Any]] = ContextVar("fields", default=MappingProxyType({}))


class bind:  # noqa: N801 - used like a function
    """Add fields to every line that is logged in the block: ``with bind(operation=…):``.

    Every event is handled in such a block, so it has to be cheap.
    """

    __slots__ = ("_before", "_fields")

    def __init__(self, **fields: Any) -> None:
        """Add ``fields`` to those that are already bound."""
        self._fields = fields

    def __enter__(self) -> None:
        """Bind the fields."""
        self._before = _FIELDS.set({**_FIELDS.get(), **self._fields})

    def __exit__(self, *_: object) -> None:
        """Restore the fields that were bound before."""
        _FIELDS.reset(self._before)


def _merge(
    _logger: Any, _method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return {**_FIELDS.get(), **fields}


def redact(
    _logger: Any, _method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Redact values of fields with secret names, and secrets inside other values."""
    for name, value in fields.items():
        fields[name] = _shown(name, value)
    return fields


def _shown(name: str, value: Any) -> Any:
    if _is_kept_secret(name) if len(name) <= LONGEST_KEPT else _is_secret(name):
        return REDACTED
    if isinstance(value, str):
        return SECRET_VALUES.sub(REDACTED, value) if _may_hold_secret(value) else value
    if isinstance(value, Mapping):
        return {key: _shown(str(key), part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_shown("", part) for part in value]
    return value


def _is_secret(name: str) -> bool:
    return SECRET_NAMES.search(name) is not None


_is_kept_secret = lru_cache(maxsize=1024)(_is_secret)


def _may_hold_secret(value: str) -> bool:
    """Return whether ``value`` may match :data:`SECRET_VALUES`: a cheap check before the regex."""
    return "://" in value or "earer" in value or "whsec_" in value


def as_json(fields: Any, *, default: Callable[[Any], Any]) -> str:
    """Serialize ``fields`` on one line; ``json`` handles values that ``orjson`` cannot."""
    try:
        return orjson.dumps(fields, default=default, option=_AS_JSON).decode()
    except orjson.JSONEncodeError:
        return json.dumps(fields, default=default)


class LossyStream:
    """A text stream that drops what cannot be written, since a full disk must not end a process."""

    def __init__(self, stream: TextIO) -> None:
        """Write to ``stream``."""
        self._stream = stream
        self.dropped = 0
        """Pieces of text that could not be written."""

    def write(self, text: str) -> int:
        """Write ``text``, or drop it if the stream fails."""
        try:
            return self._stream.write(text)
        except OSError:
            self.dropped += 1
            return len(text)

    def flush(self) -> None:
        """Flush the stream, or drop what it holds."""
        try:
            self._stream.flush()
        except OSError:
            self.dropped += 1


def configure(*, service: str, level: str, form: str) -> None:
    """Send the logs of busbar and of libraries to standard error, in the format ``form``."""
    renderer: Any = structlog.processors.JSONRenderer(serializer=as_json)
    exceptions: list[Any] = [structlog.processors.format_exc_info]
    if form == "console":
        # Plain: the other formatters print local variables, which include payloads.
        plain = structlog.dev.plain_traceback
        colors = sys.stderr.isatty()
        renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)
        exceptions = []
    shared: list[Any] = [
        _merge,
        _traced,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named(service),
        *exceptions,
        redact,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", LossyStream(sys.stderr))),
        cache_logger_on_first_use=False,  # a logger made at import would keep the first settings
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # aiokafka logs every reconnect attempt as an error; readiness already reports that.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def _traced(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> Any:
    """Add the ids of the current span, to correlate log lines with traces."""
    here = tracing.current()
    if here is not None:
        fields["trace_id"], fields["span_id"] = here.trace_id, here.span_id
    return fields


def _named(service: str) -> Any:
    def add(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> Any:
        fields.setdefault("service", service)
        return fields

    return add


def get_logger() -> Any:
    """Return the logger: ``log.info("batch_committed", records=12)``."""
    return structlog.get_logger()
