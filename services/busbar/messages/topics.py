"""The topics, ``busbar.{intents,facts}.<family>`` and ``busbar.dlq.<service>``; key: resource."""

INTENTS_RESOURCE = "busbar.intents.resource"
INTENTS_SUBSCRIPTION = "busbar.intents.subscription"
INTENTS_DEAD_LETTER = "busbar.intents.dead-letter"
FACTS_POLICY = "busbar.facts.policy"
FACTS_RESOURCE = "busbar.facts.resource"
FACTS_NOTIFICATION = "busbar.facts.notification"
FACTS_HEAD = "busbar.facts.head"

SERVICES = ("policy", "provisioner", "audit", "notifier", "gateway")
"""Every service that consumes, and therefore has a dead-letter topic and heads."""


def dead_letters(service: str) -> str:
    """The topic of ``service``'s dead letters."""
    return f"busbar.dlq.{service}"


INTENTS = (INTENTS_RESOURCE, INTENTS_SUBSCRIPTION, INTENTS_DEAD_LETTER)
FACTS = (FACTS_POLICY, FACTS_RESOURCE, FACTS_NOTIFICATION, FACTS_HEAD)
DEAD_LETTERS = tuple(dead_letters(service) for service in SERVICES)
ALL = INTENTS + FACTS + DEAD_LETTERS

OWN_SOURCES = "/busbar/"
"""What the sources of the platform's own events start with; nobody else may use them."""

PARTITIONS = 12
"""Partitions of every topic. Fixed at birth: another number would move keys."""

INTENT_RETENTION_MS = 7 * 24 * 3600 * 1000
"""Intents are kept 7 days; facts and dead letters for ever (-1)."""

RECORD_MAX_BYTES = 1024 * 1024 + 12
"""The longest batch that topics take: Kafka's own default, whatever a broker's may be."""

DEAD_LETTER_MAX_BYTES = 4 * 1024 * 1024
"""Dead-letter topics take larger records than intents do, since they carry one whole."""


def configuration(topic: str) -> dict[str, str]:
    """The settings that ``topic`` is created with."""
    settings = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
    if topic in INTENTS:
        settings["retention.ms"] = str(INTENT_RETENTION_MS)
    if topic in DEAD_LETTERS:
        settings["max.message.bytes"] = str(DEAD_LETTER_MAX_BYTES)
    else:
        settings["max.message.bytes"] = str(RECORD_MAX_BYTES)
    return settings
