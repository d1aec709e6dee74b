"""A program that uses the SDK: mypy checks what it infers, and which mistakes it reports.

An ignored error that is not reported is an error itself (``warn_unused_ignores``).
"""

from collections.abc import AsyncIterator
from typing import assert_type

from cloudevents.core.v1.event import CloudEvent
from pydantic import SecretStr

from busbar.messages.envelope import Envelope
from busbar.messages.resource import ApplyResource, ResourceProvisioned
from busbar.sdk import (
    AttemptView,
    AuditPage,
    Client,
    DeadLetter,
    DecryptedDeadLetter,
    DeliveryView,
    FactItem,
    GatewayProblem,
    OperationView,
    Receipt,
    ReceivedFact,
    ResourceView,
    RetryPolicy,
    SubscriptionView,
    from_cloudevent,
    to_cloudevent,
)


async def publish(client: Client, event: CloudEvent, intent: ApplyResource) -> str:
    assert_type(await client.publish(event), Receipt)
    assert_type(await client.publish(from_cloudevent(event)), Receipt)
    assert_type(await client.send(intent, key="nightly"), Receipt)
    receipt = await client.apply("payments/dev/event-stream/orders", {"partitions": 3})
    assert_type(receipt.replayed, bool)
    assert_type(receipt.resource, str | None)
    operation = await client.wait(receipt.operation, timeout=60)
    assert_type(operation, OperationView)
    return operation.status


async def read(client: Client) -> None:
    assert_type(client.facts(follow=True), AsyncIterator[FactItem])
    assert_type(client.facts(types=["busbar.resource.*"]), AsyncIterator[FactItem])
    typed = client.facts(team="payments", types=[ResourceProvisioned])
    assert_type(typed, AsyncIterator[ReceivedFact[ResourceProvisioned]])
    async for received in typed:
        assert_type(received.message, ResourceProvisioned)
        assert_type(received.envelope, Envelope)
        assert_type(received.cursor, str)
    assert_type(client.operations(), AsyncIterator[OperationView])
    assert_type(client.dead_letters(), AsyncIterator[DeadLetter])
    assert_type(await client.dead_letter("1"), DecryptedDeadLetter)
    assert_type(await client.resource("payments/dev/event-stream/orders"), ResourceView)
    assert_type(client.subscriptions(team="payments"), AsyncIterator[SubscriptionView])
    assert_type(client.deliveries("payments/s", status="failed"), AsyncIterator[DeliveryView])
    assert_type((await client.delivery("payments/s", "1")).attempts, tuple[AttemptView, ...])
    assert_type(await client.send_test_event("payments/s"), Receipt)
    assert_type(await client.resend("payments/s", event="1"), Receipt)
    assert_type(await client.audit_page(), AuditPage)
    async for event in client.fact_events():
        assert_type(event, CloudEvent)
        assert_type(from_cloudevent(event), Envelope)
    async for fact in client.facts():
        assert_type(to_cloudevent(fact), CloudEvent)


async def mistakes(client: Client, fact: FactItem) -> None:
    Client("http://localhost:8642", b"token")  # type: ignore[arg-type]  # a token is text
    Client("http://localhost:8642", "text")
    Client()
    Client("http://localhost:8642", SecretStr("t"), retry=3)  # type: ignore[arg-type]  # a RetryPolicy
    await client.publish({"id": "1"})  # type: ignore[arg-type]  # an event
    await client.apply("payments/dev/event-stream/orders")  # type: ignore[call-arg]  # no spec
    client.deliveries("payments/s", status="lost")  # type: ignore[arg-type]  # no such status
    fact.dead_letter  # type: ignore[attr-defined]  # noqa: B018 - only its type matters


def errors(problem: GatewayProblem) -> tuple[int, str]:
    assert_type(problem.fix, str)
    assert_type(RetryPolicy().delay(1, retry_after=2.0), float | None)
    return problem.status, problem.code
