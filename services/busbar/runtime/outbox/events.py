"""Conversion of stored events to the CloudEvents that are published, and their digest chain."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from busbar.kernel.canonical import canonical_json
from busbar.kernel.clock import parse_time
from busbar.messages.envelope import Envelope
from busbar.runtime.store.model.json import loads
from busbar.runtime.store.model.rows import StoredEvent

SERVICE: Final = {"authtype": "service_account"}
"""The kind of principal that a service is, as the CloudEvents Auth Context extension names it."""

GENESIS = "0" * 64
"""The predecessor of the first link of every digest chain."""


def envelope_of(event: StoredEvent, *, relay: str, sequence: int) -> Envelope:
    """Return the CloudEvent for ``event``, with its relay and sequence.

    An intent that a service passes on keeps the identity and attributes of its producer.
    """
    about: Mapping[str, Any] = loads(event.metadata)
    extensions: dict[str, str] = {"correlationid": event.correlation}
    if "id" not in about:
        # An intent that is passed on has the cause and the principal that its producer set.
        extensions["causationid"] = event.causation
        extensions |= SERVICE
        extensions["authid"] = relay
        if "onbehalfof" in about:
            extensions["onbehalfof"] = about["onbehalfof"]
    if "extensions" in about:
        extensions |= about["extensions"]
    extensions["relay"] = relay
    extensions["sequence"] = f"{sequence:020d}"
    if event.key is not None:
        extensions["partitionkey"] = event.key
    if about.get("traceparent"):
        extensions["traceparent"] = about["traceparent"]
    time = about.get("time", event.time)
    return Envelope(
        id=about.get("id", event.id),
        source=about["source"],
        type=event.type,
        subject=about.get("subject"),
        time=parse_time(time) if time else None,
        extensions=extensions,
        data=loads(event.data),
        body=event.data.encode(),
        key=event.key,
    )


def chain(previous: str, source: str, id_: str, type_: str, data: Any) -> str:
    """Return the next link of a digest chain.

    It is SHA-256 over the previous link and the digest of the event. ``data`` must have been read
    from JSON.
    """
    return link(previous, event_digest(source, id_, type_, data))


def event_digest(source: str, id_: str, type_: str, data: Any) -> str:
    """Return the digest of one event, which a chain links to those before it."""
    return hashlib.sha256(canonical_json([source, id_, type_, data], parsed=True)).hexdigest()


def link(previous: str, own: str) -> str:
    """Return the next link of a digest chain, from the digest of the event itself."""
    return hashlib.sha256((previous + own).encode()).hexdigest()
