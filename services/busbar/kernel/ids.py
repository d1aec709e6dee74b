"""Names that never change: UUIDv5 over what makes a thing unique.

CloudEvents makes ``source`` + ``id`` unique, so everything busbar names after an event can be
computed again by anybody who has the event: the same pair is the same intent, for ever.
"""

import json
from uuid import UUID, uuid5

NAMESPACE = UUID("6b2f6a0e-1f5c-5d0e-9a53-0d6b8c2f7a11")
"""busbar's own UUIDv5 namespace (RFC 9562 section 5.5). Changing it renames everything."""


_spell = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def _name(*parts: str | int) -> UUID:
    # JSON keeps the parts apart: ("a", "bc") and ("ab", "c") must not meet.
    return uuid5(NAMESPACE, _spell(parts))


def operation_id(source: str, id_: str) -> UUID:
    """The operation that processes the intent ``source`` + ``id_``."""
    return _name("operation", source, id_)


def event_id(service: str, source: str, id_: str, index: int) -> UUID:
    """The ``index``-th event (from 0) that ``service`` records because of ``source`` + ``id_``."""
    return _name("event", service, source, id_, index)


def operation_key(resource: str, step: str, generation: int, action: str) -> str:
    """The idempotency key that a backend sees for one effect; the same for every attempt."""
    return str(_name("effect", resource, step, generation, action))
