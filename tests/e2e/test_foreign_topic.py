"""A topic that someone else made is left alone, as README and how-tos say."""

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from busbar.cli.local import Platform
from busbar.sdk import Client


async def test_a_name_that_is_taken_fails_and_the_topic_stays_as_it_is(
    client: Client, platform: Platform, team: str
) -> None:
    topic, resource = f"{team}.dev.orders", f"{team}/dev/event-stream/orders"
    admin = AIOKafkaAdminClient(bootstrap_servers=platform.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=2, replication_factor=1)])
        asked = await client.apply(resource, {"partitions": 6})
        view = await client.wait(asked.operation, timeout=60)
        assert (view.status, view.reason) == ("failed", "not_ours")
        (kept,) = await admin.describe_topics([topic])
        assert len(kept["partitions"]) == 2
        assert [name for name in await admin.list_topics() if name.startswith(team)] == [topic]
        await admin.delete_topics([topic])
        again = await client.apply(resource, {"partitions": 6})
        assert (await client.wait(again.operation, timeout=60)).status == "succeeded"
        gone = await client.delete(resource)
        assert (await client.wait(gone.operation, timeout=60)).status == "succeeded"
    finally:
        await admin.close()
