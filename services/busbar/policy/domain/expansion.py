"""The size of a schema with every ``$ref`` written out, and the definitions that have none.

A few definitions that refer to each other twice double at every level: validating a spec against
them, or filling in their defaults, would never end. The size is counted without writing them out.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from busbar.kernel.json_schema import REF_PREFIX, children_of, ref_target, subschemas
from busbar.messages.base import JsonObject

MAX_SCHEMAS: Final = 10_000
"""The schemas in a spec's schema with every reference written out; real ones have hundreds."""

MAX_LEVELS: Final = 64
"""The levels of schemas within schemas, references included."""


def recursive_definitions(root: JsonObject) -> frozenset[str]:
    """Return the names of the definitions that contain themselves, or lie between two that do."""
    uses: dict[str, set[str]] = {}
    definitions = root.get("$defs", {})
    for name, definition in definitions.items():
        refs = (child.get("$ref") for _, child in subschemas(definition))
        named = {ref.removeprefix(REF_PREFIX) for ref in refs if isinstance(ref, str)}
        uses[name] = named & definitions.keys()
    used: dict[str, set[str]] = {name: set() for name in uses}
    for name, others in uses.items():
        for other in others:
            used[other].add(name)
    return frozenset(_without_ends(uses, used) & _without_ends(used, uses))


def _without_ends(forward: Mapping[str, set[str]], back: Mapping[str, set[str]]) -> set[str]:
    """Return the names from which no path along ``forward`` comes to an end."""
    left = {name: len(others) for name, others in forward.items()}
    ends = [name for name, count in left.items() if not count]
    endless = set(left)
    while ends:
        end = ends.pop()
        endless.discard(end)
        for before in back[end]:
            left[before] -= 1
            if not left[before]:
                ends.append(before)
    return endless


def problem_with_size(root: JsonObject) -> str | None:
    """Return why ``root``, which has no recursive ``$ref``, is too large, or None."""
    known: dict[int, tuple[float, int]] = {}
    size, levels = _measure(root, root, known, 0)
    for definition in root.get("$defs", {}).values():
        others = _measure(definition, root, known, 0)
        size, levels = max(size, others[0]), max(levels, others[1])
    if levels > MAX_LEVELS:
        return f"it has more than {MAX_LEVELS} levels of schemas, with each $ref written out"
    if size > MAX_SCHEMAS:
        return f"it has more than {MAX_SCHEMAS} schemas, with each $ref written out"
    return None


def _measure(
    schema: Any, root: JsonObject, known: dict[int, tuple[float, int]], level: int
) -> tuple[float, int]:
    """Return the number of schemas in ``schema`` and of its levels; each is measured once."""
    if not isinstance(schema, dict):
        return 1, 1
    if level > MAX_LEVELS:
        return math.inf, MAX_LEVELS + 1
    if id(schema) in known:
        return known[id(schema)]
    inside = [child for place, child in children_of(schema) if place[0] != "$defs"]
    if (target := ref_target(schema, root)) is not None:
        inside.append(target)
    measured = [_measure(child, root, known, level + 1) for child in inside]
    found = (
        1 + sum(size for size, _ in measured),
        1 + max((levels for _, levels in measured), default=0),
    )
    known[id(schema)] = found
    return found
