"""Create, update in place, delete in reverse, conflicts: from the outside, on a real broker."""

from datetime import datetime

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from busbar.cli.local import Platform
from busbar.messages.views import OperationView
from busbar.runtime.core.clock import SystemClock
from busbar.sdk import Client, GatewayProblem
from support import eventually


async def done(client: Client, operation: str) -> OperationView:
    return await client.wait(operation, timeout=30)


async def partitions(platform: Platform, topic: str) -> int:
    """Return the number of partitions of ``topic``; 0 if it does not exist."""
    admin = AIOKafkaAdminClient(bootstrap_servers=platform.bootstrap)
    await admin.start()
    try:
        if topic not in await admin.list_topics():
            return 0
        return len((await admin.describe_topics([topic]))[0]["partitions"])
    finally:
        await admin.close()


async def generation(client: Client, resource: str, time: datetime, wanted: int) -> bool:
    views = [view async for view in client.state_at(time, resource=resource)]
    return bool(views) and views[0].observed_generation == wanted


def now() -> datetime:
    """A time that an investigator asks about."""
    return SystemClock().now()


class LifeOfAnIntent:
    """The suite; a subclass runs it on the platform of its folder."""

    async def test_a_resource_is_created_updated_in_place_and_deleted(
        self, platform: Platform, client: Client, team: str
    ) -> None:
        resource, topic = f"{team}/dev/event-stream/orders", f"{team}.dev.orders"
        for count, change in ((2, "created"), (5, "updated"), (5, "unchanged")):
            accepted = await client.apply(resource, {"partitions": count})
            view = await done(client, accepted.operation)
            assert (view.status, view.detail) == ("succeeded", change)
            assert await partitions(platform, topic) == count
        view = await done(client, (await client.delete(resource)).operation)
        assert (view.status, view.detail) == ("succeeded", "deleted")
        assert await partitions(platform, topic) == 0
        assert (await client.resource(resource)).status == "deleted"

    async def test_an_update_that_is_refused_leaves_the_resource_as_it_was(
        self, platform: Platform, client: Client, team: str
    ) -> None:
        resource, topic = f"{team}/dev/event-stream/orders", f"{team}.dev.orders"
        await done(client, (await client.apply(resource, {"partitions": 3})).operation)
        spec = {"partitions": 4, "dead_letters": {"enabled": True, "replicas": 5}}
        view = await done(client, (await client.apply(resource, spec)).operation)
        # Partitions cannot be taken away again: what is there stays, and whatever is next goes on.
        assert view.status == "failed"
        assert "partitions=4" in view.detail
        view = await done(client, (await client.apply(resource, {"partitions": 4})).operation)
        assert (view.status, view.detail) == ("succeeded", "unchanged")
        other = f"{team}/dev/event-stream/other"
        await done(client, (await client.apply(other, {"retention_hours": 24})).operation)
        spec = {"retention_hours": 48, "dead_letters": {"enabled": True, "replicas": 5}}
        view = await done(client, (await client.apply(other, spec)).operation)
        assert view.status == "failed"
        assert (await client.resource(other)).status == "ready"
        assert (await client.resource(other)).spec["retention_hours"] == 24
        assert await partitions(platform, topic) == 4
        view = await done(client, (await client.delete(resource)).operation)
        assert view.status == "succeeded"
        assert await partitions(platform, topic) == 0

    async def test_the_generation_that_is_shown_is_the_one_that_can_be_expected(
        self, client: Client, team: str
    ) -> None:
        resource = f"{team}/dev/event-stream/orders"
        await done(client, (await client.apply(resource, {"partitions": 2})).operation)
        refused = await client.apply(resource, {"partitions": 2, "replicas": 3})
        assert (await done(client, refused.operation)).status == "failed"
        shown = await client.resource(resource)
        assert (shown.generation, shown.observed_generation) == (1, 1)

        async def is_allowed() -> bool:
            # Policy and the gateway read the same fact, each in its own time.
            spec, expected = {"partitions": 2, "retention_hours": 30}, shown.generation
            again = await client.apply(resource, spec, expected_generation=expected)
            return (await done(client, again.operation)).status == "succeeded"

        await eventually(is_allowed, within=20, what="the expected generation")

    async def test_deleting_what_is_being_deleted_joins_and_can_be_settled_by_a_person(
        self, platform: Platform, client: Client, team: str
    ) -> None:
        resource, topic = f"{team}/dev/event-stream/orders", f"{team}.dev.orders"
        await done(client, (await client.apply(resource, {"partitions": 1})).operation)
        admin = AIOKafkaAdminClient(bootstrap_servers=platform.bootstrap)
        await admin.start()
        try:
            await admin.delete_topics([topic])

            async def is_gone() -> bool:
                return topic not in await admin.list_topics()

            await eventually(is_gone, within=20, what="the end of the topic")
            await admin.create_topics([NewTopic(topic, 1, 1)])
            first = (await client.delete(resource)).operation
            assert (await done(client, first)).status == "stuck"
            second = (await client.delete(resource)).operation
            assert (await done(client, second)).status == "stuck"
            await admin.delete_topics([topic])
            retried = await client.retry_operation(resource, second)
            assert (await done(client, retried.operation)).status == "succeeded"

            async def both_ended() -> bool:
                views = [await client.operation(one) for one in (first, second)]
                return [view.status for view in views] == ["succeeded", "succeeded"]

            await eventually(both_ended, within=30, what="the end of both deletions")
        finally:
            await admin.close()
        third = await done(client, (await client.delete(resource)).operation)
        assert (third.status, third.detail) == ("succeeded", "there was nothing to delete")

    async def test_a_released_resource_is_forgotten_and_its_topic_stays(
        self, platform: Platform, client: Client, team: str
    ) -> None:
        resource, topic = f"{team}/dev/event-stream/orders", f"{team}.dev.orders"
        await done(client, (await client.apply(resource, {"partitions": 2})).operation)
        view = await done(client, (await client.release(resource)).operation)
        assert view.status == "succeeded"
        assert (await client.resource(resource)).status == "released"
        assert await partitions(platform, topic) == 2

        async def explained() -> bool:
            texts = [sentence.text async for sentence in client.why(resource)]
            return any("released" in text for text in texts)

        await eventually(explained, within=30, what="the release in the audit log")

    async def test_the_same_id_with_another_body_is_refused(
        self, client: Client, team: str
    ) -> None:
        resource = f"{team}/dev/event-stream/orders"
        first = await client.apply(resource, {"partitions": 2}, event_id=f"{team}-1")
        again = await client.apply(resource, {"partitions": 2}, event_id=f"{team}-1")
        assert (again.operation, again.replayed) == (first.operation, True)
        with pytest.raises(GatewayProblem) as refused:
            await client.apply(resource, {"partitions": 3}, event_id=f"{team}-1")
        assert refused.value.status == 409
        assert refused.value.fix

    async def test_the_state_at_an_earlier_time_is_what_the_platform_knew_then(
        self, client: Client, team: str
    ) -> None:
        resource = f"{team}/dev/event-stream/orders"
        before = now()
        await done(client, (await client.apply(resource, {"retention_hours": 24})).operation)
        await eventually(
            lambda: generation(client, resource, now(), 1), what="the first in the log"
        )
        between = now()
        await done(client, (await client.apply(resource, {"retention_hours": 72})).operation)
        await eventually(
            lambda: generation(client, resource, now(), 2), what="the second in the log"
        )
        assert [view async for view in client.state_at(before, resource=resource)] == []
        (view,) = [view async for view in client.state_at(between, resource=resource)]
        assert (view.generation, view.spec["retention_hours"]) == (1, 24)

    async def test_why_explains_the_whole_chain(self, client: Client, team: str) -> None:
        resource = f"{team}/dev/event-stream/orders"
        view = await done(client, (await client.apply(resource, {})).operation)

        async def texts() -> list[str]:
            found = [sentence.text async for sentence in client.why(view.id)]
            return found if any("provisioned" in text for text in found) else []

        sentences = await eventually(texts, what="the explanation")
        for word in (
            "requested:",
            "Policy allowed",
            "queued it",
            "the action is create",
            "is done",
        ):
            assert any(word in text for text in sentences), (word, sentences)

    async def test_a_dead_letter_can_be_redriven_and_the_answer_is_an_operation(
        self, client: Client
    ) -> None:
        accepted = await client.redrive("no-such-dead-letter", service="policy")
        view = await done(client, accepted.operation)
        assert (view.status, view.reason) == ("failed", "unknown_dead_letter")


class TestOnOneInstance(LifeOfAnIntent):
    """On SQLite."""
