"""The topics of the platform, made where they are missing."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from busbar.messages import topics

REPLICAS = 3
"""Replicas of every topic, or as many as there are brokers."""


async def ensure_topics(bootstrap: str) -> list[str]:
    """Create busbar's topics that are not there yet; returns their names.

    Raises:
        KafkaError: the broker refused one, or does not answer.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        present = set(await admin.list_topics())
        missing = [name for name in topics.ALL if name not in present]
        if not missing:
            return []
        brokers = len((await admin.describe_cluster())["brokers"])
        replicas = max(1, min(REPLICAS, brokers))
        answer = await admin.create_topics(
            [
                NewTopic(
                    name, topics.PARTITIONS, replicas, topic_configs=topics.configuration(name)
                )
                for name in missing
            ]
        )
        for name, code, *_ in answer.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error(f"the broker refused the topic {name}")
        return missing
    finally:
        await admin.close()
