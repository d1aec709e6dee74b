"""Parts of the examples of facts about resources."""

from typing import Final

from busbar.messages.base import (
    EXAMPLE_INTENT,
    EXAMPLE_OPERATION,
    EXAMPLE_RESOURCE,
    JsonObject,
)

STEP: Final[JsonObject] = {
    "operation": EXAMPLE_OPERATION,
    "resource": EXAMPLE_RESOURCE,
    "generation": 1,
    "step": "topic",
    "adapter": "kafka-topic",
}
ENDED: Final[JsonObject] = {
    "operation": EXAMPLE_OPERATION,
    "resource": EXAMPLE_RESOURCE,
    "intent": EXAMPLE_INTENT,
    "generation": 1,
}
REFUSED: Final[JsonObject] = {
    "failed_step": "dead-letters",
    "reason": "refused",
    "detail": "the broker has 1 node, so a topic cannot have 3 replicas",
}
TOPIC: Final[JsonObject] = {"name": "payments.orders", "partitions": 6}
KEPT: Final[JsonObject] = {
    "presence": "ours",
    "inputs": TOPIC,
    "outputs": TOPIC,
    "reason": "cannot_change",
    "detail": "the topic has 6 partitions, and Kafka cannot remove any",
}
PROMISE: Final[JsonObject] = {
    "name": "event-stream",
    "version": "v1",
    "digest": "sha256:" + "0" * 64,
}
