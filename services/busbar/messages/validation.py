"""Validation errors of pydantic in words: which field is wrong and what is expected there.

Values are not repeated: they may be secrets, and texts of errors reach logs and dead letters.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel, ValidationError

from busbar.kernel import json_pointer
from busbar.kernel.suggest import did_you_mean, listed
from busbar.kernel.text import truncate
from busbar.messages.pattern_words import pattern_words

MAX_ERRORS: Final = 10
MAX_POINTER_CHARS: Final = 200
MAX_EXPECTED_CHARS: Final = 300

_SHORTEST_REPEATED: Final = 4
"""Shorter values are part of ordinary words."""

_SUBJECT: Final = re.compile(
    r"^(?:Input|Value|Data|String|List|Tuple|Set|Dictionary|Number|URL|Bytes) should "
)
_OWN_WORDS: Final = frozenset({"value_error", "assertion_error"})
_EXPECTED: Final[Mapping[str, str]] = {
    "missing": "is missing",
    "extra_forbidden": "is not a known field",
    "none_required": "must be null",
    "uuid_parsing": "must be a UUID",
    "uuid_type": "must be a UUID",
    "json_invalid": "must be valid JSON",
    "date_from_datetime_parsing": "must be a date",
    "datetime_parsing": "must be a date and time",
    "datetime_from_date_parsing": "must be a date and time",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dataclass_type": "must be an object",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong field: its location, and a predicate such as ``must be a whole number``."""

    location: tuple[str | int, ...]
    expected: str

    @property
    def pointer(self) -> str:
        """The location as a JSON pointer, shortened if a producer's keys are long."""
        return truncate(json_pointer.join(self.location), MAX_POINTER_CHARS)

    def __str__(self) -> str:
        return f"{self.pointer or 'the document'} {self.expected}"


def field_errors(error: ValidationError, model: type[BaseModel] | None = None) -> list[FieldError]:
    """Return every error in ``error``, in the order in which pydantic found them.

    With the ``model`` that raised it, an unknown field is followed by the closest known one.
    """
    return from_details(error.errors(include_url=False), model)


def from_details(
    details: Iterable[Mapping[str, Any]], model: type[BaseModel] | None = None
) -> list[FieldError]:
    """Return the errors in a list such as :meth:`pydantic.ValidationError.errors` returns."""
    return [
        FieldError(tuple(detail["loc"]), truncate(_expected(detail, model), MAX_EXPECTED_CHARS))
        for detail in details
    ]


def fields_at(model: type[BaseModel], place: Iterable[int | str]) -> Sequence[str]:
    """Return the names of the fields of ``model`` at ``place``."""
    for part in place:
        for name, info in model.model_fields.items():
            if part == (info.alias or name):
                model = _model_in(info.annotation) or model
                break
    return [info.alias or name for name, info in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for arg in get_args(annotation) if (model := _model_in(arg))), None)


def sentence(errors: Iterable[FieldError], *, limit: int = MAX_ERRORS) -> str:
    """Return the first ``limit`` errors in one line, and how many more there are."""
    texts = [str(error) for error in errors]
    more = [f"and {len(texts) - limit} more"] if len(texts) > limit else []
    return "; ".join(texts[:limit] + more)


def describe(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """Return ``error`` as a bounded line: ``/spec is missing; /name must be text``."""
    return sentence(field_errors(error, model))


def _expected(detail: Mapping[str, Any], model: type[BaseModel] | None) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden" and model is not None:
        *parent, unknown = detail["loc"]
        known = fields_at(model, parent)
        hint = did_you_mean(str(unknown), known, otherwise=f"known are: {listed(known)}")
        return f"{_EXPECTED[kind]} ({hint})"
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if kind == "string_pattern_mismatch":
        return f"must {pattern_words(str(context.get('pattern', 'the pattern')))}"
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return f"must have one of the tags {context.get('expected_tags', 'that are known')}"
    if kind in _OWN_WORDS:
        # The words of a validator of ours, which decides itself what it repeats.
        return f"is not valid: {context.get('error', detail['msg'])}"
    message = str(detail["msg"])
    if _repeats(message, detail.get("input")):
        return "is not valid"
    return _SUBJECT.sub("must ", message) if _SUBJECT.match(message) else f"is wrong: {message}"


def _repeats(message: str, value: object) -> bool:
    return isinstance(value, str) and len(value) >= _SHORTEST_REPEATED and value in message
