"""The fields of a promise's schema, as ``busbar explain`` shows them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from busbar.kernel.json_schema import flattened, properties_of, views
from busbar.kernel.suggest import did_you_mean, listed
from busbar.policy.domain.formatting import show
from busbar.policy.domain.json_types import Typed, in_words

_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "pattern": "matches {}",
    "format": "written as {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} properties",
    "maxProperties": "at most {} properties",
}


@dataclass(frozen=True, slots=True)
class FieldView:
    """One field: its path with dots, type, limits, and default as JSON if it has one."""

    path: str
    title: str
    description: str
    type: str
    required: bool
    default: str | None
    limits: tuple[str, ...]


class UnknownFieldError(Exception):
    """A path leads to no field; ``fix`` names those that there are."""

    def __init__(self, problem: str, *, fix: str) -> None:
        super().__init__(problem)
        self.fix = fix


def fields_of(root: Mapping[str, Any], path: Sequence[str] = ()) -> list[FieldView]:
    """Return the field at ``path`` (without a path: none) and all fields below it.

    Raises:
        UnknownFieldError: there is no such field.
    """
    document = dict(root)
    schema: Any = document
    found: list[FieldView] = []
    for index, name in enumerate(path):
        schema = _items_of(schema, document)
        known = properties_of(schema, document)
        if name not in known:
            at = ".".join(path[: index + 1])
            fix = did_you_mean(name, known, otherwise=f"Known are: {listed(list(known))}")
            raise UnknownFieldError(f"There is no field {at}", fix=fix)
        found = [_field(name, schema, document, ".".join(path[: index + 1]))]
        schema = known[name]
    return [*found, *_below(schema, document, ".".join(path))]


def _below(schema: Any, root: dict[str, Any], prefix: str) -> Iterator[FieldView]:
    schema = _items_of(schema, root)
    for name, child in properties_of(schema, root).items():
        path = f"{prefix}.{name}" if prefix else name
        yield _field(name, schema, root, path)
        yield from _below(child, root, path)


def _items_of(schema: Any, root: dict[str, Any]) -> Any:
    """Return the schema of the items of a list, else ``schema``."""
    whole = flattened(schema, root)
    items = whole.get("items") if isinstance(whole, dict) else None
    return items if isinstance(items, dict) and not properties_of(schema, root) else schema


def _field(name: str, parent: Any, root: dict[str, Any], path: str) -> FieldView:
    schema = properties_of(parent, root)[name]
    whole = flattened(schema, root)
    whole = whole if isinstance(whole, dict) else {}
    return FieldView(
        path=path,
        title=str(whole.get("title", "")),
        description=str(whole.get("description", "")).strip(),
        type=_type(schema, whole, root),
        required=any(name in view.get("required", ()) for view in views(parent, root)),
        default=show(whole["default"]) if "default" in whole else None,
        limits=tuple(_limits(whole, root)),
    )


def _type(schema: Any, whole: Mapping[str, Any], root: dict[str, Any]) -> str:
    kind = in_words(Typed(schema, root).types)
    items = whole.get("items")
    return f"{kind} of {in_words(Typed(items, root).types)}" if isinstance(items, dict) else kind


def _limits(whole: Mapping[str, Any], root: dict[str, Any]) -> Iterator[str]:
    if "const" in whole:
        yield f"always {show(whole['const'])}"
    if "enum" in whole:
        yield f"one of {', '.join(map(show, whole['enum']))}"
    for keyword, words in _LIMITS.items():
        if keyword in whole:
            yield words.format(whole[keyword])
    if whole.get("uniqueItems"):
        yield "no item twice"
    if isinstance(whole.get("items"), dict):
        inner = flattened(whole["items"], root)
        yield from (f"each item {limit}" for limit in _limits(inner, root))
