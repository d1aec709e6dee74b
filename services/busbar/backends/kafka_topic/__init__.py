"""The adapter ``kafka-topic``: topics on the Kafka cluster that busbar runs on."""

from busbar.backends.kafka_topic.backend import KafkaTopicBackend

__all__ = ["KafkaTopicBackend"]
