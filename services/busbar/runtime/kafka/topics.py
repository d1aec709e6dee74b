"""Creation of the platform's topics."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from busbar.messages import topics
from busbar.runtime.kafka.errors import translated

REPLICAS = 3
"""Replicas of every topic, limited to the number of brokers."""


async def ensure_topics(bootstrap: str) -> list[str]:
    """Create the topics of busbar that are missing; return their names.

    Raises:
        BusUnavailable: the broker refused one, or is unreachable.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        with translated():
            await admin.start()
            return await _create_missing(admin)
    finally:
        await admin.close()


async def _create_missing(admin: AIOKafkaAdminClient) -> list[str]:
    present = set(await admin.list_topics())
    missing = [name for name in topics.ALL if name not in present]
    if not missing:
        return []
    brokers = len((await admin.describe_cluster())["brokers"])
    replicas = max(1, min(REPLICAS, brokers))
    answer = await admin.create_topics(
        [
            NewTopic(name, topics.PARTITIONS, replicas, topic_configs=topics.configuration(name))
            for name in missing
        ]
    )
    for name, code, *_ in answer.topic_errors:
        error = for_code(code)
        if code and error is not TopicAlreadyExistsError:
            raise error(f"the broker refused the topic {name}")
    return missing
