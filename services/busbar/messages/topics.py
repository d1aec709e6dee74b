"""The topics, ``busbar.{intents,facts}.<family>`` and ``busbar.dlq.<service>``, and their keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from busbar.kernel.resource import SLUG

SERVICES = ("policy", "provisioner", "audit", "notifier", "gateway", "identity")
"""Every service that consumes, and therefore has a dead-letter topic and heads."""

_RESOURCE: Final = f"^{SLUG}(/{SLUG}){{3}}$"
_SUBSCRIPTION: Final = f"^{SLUG}/{SLUG}$"
_OPERATION: Final = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a topic's records: Kafka keeps the order of records with the same key.

    ``fields`` are the fields of the data that it comes from, the first that are there; the parts
    of a compound key are separated by a slash. ``constant`` is a key that is always the same. None
    as ``pattern`` fits any key.
    """

    description: str
    fields: tuple[str, ...] = ()
    pattern: str | None = None
    constant: str | None = None

    def of(self, data: Mapping[str, object]) -> str | None:
        """Return the key of an event with this ``data``; None if a field is missing."""
        for field in self.fields:
            parts = [data.get(part) for part in field.split("/")]
            if all(isinstance(part, str) for part in parts):
                return "/".join(map(str, parts))
        return self.constant


INTENTS_RESOURCE = "busbar.intents.resource"
INTENTS_SUBSCRIPTION = "busbar.intents.subscription"
INTENTS_DEAD_LETTER = "busbar.intents.dead-letter"
INTENTS_IDENTITY = "busbar.intents.identity"
FACTS_POLICY = "busbar.facts.policy"
FACTS_REQUEST = "busbar.facts.request"
FACTS_RESOURCE = "busbar.facts.resource"
FACTS_NOTIFICATION = "busbar.facts.notification"
FACTS_IDENTITY = "busbar.facts.identity"
FACTS_HEAD = "busbar.facts.head"

_INTENTS: Final = {
    INTENTS_RESOURCE: Key(
        "The resource, team/environment/promise/name: order is kept per resource.",
        ("team/environment/promise/name",),
        _RESOURCE,
    ),
    INTENTS_SUBSCRIPTION: Key(
        "The subscription, team/name; the subject or the operation if the data name none.",
        ("team/name",),
        f"{_SUBSCRIPTION}|{_OPERATION}",
    ),
    INTENTS_DEAD_LETTER: Key(
        "The dead letter's id; the subject or the operation if the data name none.",
        ("dead_letter",),
    ),
    INTENTS_IDENTITY: Key(
        "Always the same: a key that is registered and then revoked ends revoked.",
        constant="identity",
    ),
}
_FACTS: Final = {
    FACTS_POLICY: Key(
        "The resource; the operation if the intent names no resource.",
        ("resource", "operation"),
        f"{_RESOURCE}|{_OPERATION}",
    ),
    FACTS_REQUEST: Key(
        "What the request is about: a subscription, team/name, or the id of a dead letter.",
        ("about",),
    ),
    FACTS_RESOURCE: Key(
        "The resource, team/environment/promise/name: order is kept per resource.",
        ("resource",),
        _RESOURCE,
    ),
    FACTS_NOTIFICATION: Key(
        "The resource that was delivered about, or else the subscription; the operation if the "
        "intent names no subscription.",
        ("resource", "subscription", "operation"),
        f"{_RESOURCE}|{_SUBSCRIPTION}|{_OPERATION}",
    ),
    FACTS_IDENTITY: Key(
        "The same for every fact: their order is total.",
        pattern="^identity$",
        constant="identity",
    ),
    FACTS_HEAD: Key("The relay, which has the name of its service.", ("relay",), f"^{SLUG}$"),
}
_DEAD_LETTER: Final = Key("The dead letter's id.", ("dead_letter",))
_UNKNOWN: Final = Key("The record's ordering key.")


def dead_letters(service: str) -> str:
    """Return the topic of ``service``'s dead letters."""
    return f"busbar.dlq.{service}"


INTENTS = tuple(_INTENTS)
FACTS = tuple(_FACTS)
DEAD_LETTERS = tuple(dead_letters(service) for service in SERVICES)
ALL = INTENTS + FACTS + DEAD_LETTERS

FORWARDING_RELAYS = frozenset({"gateway"})
"""Services whose relay publishes intents of others, under the producer's source and id."""

OWN_SOURCES = "/busbar/"
"""The prefix of the sources of the platform's own events; producers must not use it."""

PARTITIONS = 12
"""Partitions of every topic. Fixed when a topic is created: another number would move keys."""

INTENT_RETENTION_MS = 7 * 24 * 3600 * 1000
"""Intents are kept 7 days; facts and dead letters indefinitely (-1)."""

RECORD_MAX_BYTES = 1024 * 1024 + 12
"""The longest batch that topics take: Kafka's own default, whatever a broker's may be."""

DEAD_LETTER_MAX_BYTES = 4 * 1024 * 1024
"""Dead-letter topics take larger records than intents do, since they carry one whole."""


def key_of(topic: str) -> Key:
    """Return the key of ``topic``'s records."""
    if topic.startswith(dead_letters("")):
        return _DEAD_LETTER
    return (_INTENTS | _FACTS).get(topic, _UNKNOWN)


def configuration(topic: str) -> dict[str, str]:
    """Return the settings that ``topic`` is created with."""
    settings = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
    if topic in INTENTS:
        settings["retention.ms"] = str(INTENT_RETENTION_MS)
        # Producers have clocks of their own: the time of a record is that of the broker.
        settings["message.timestamp.type"] = "LogAppendTime"
    if topic in DEAD_LETTERS:
        settings["max.message.bytes"] = str(DEAD_LETTER_MAX_BYTES)
    else:
        settings["max.message.bytes"] = str(RECORD_MAX_BYTES)
    return settings
