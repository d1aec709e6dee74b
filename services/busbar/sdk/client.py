"""The client: one method for each operation of the HTTP API."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, Literal

from busbar.kernel.clock import format_time
from busbar.kernel.resource import ResourceId
from busbar.messages.delivery import DiscardDeadLetter, RedriveDeadLetter
from busbar.messages.http import (
    AuditPage,
    AuditRecord,
    Completeness,
    DeadLetter,
    DecryptedDeadLetter,
    PromiseList,
    PromiseView,
    Sentence,
)
from busbar.messages.resource import ApplyResource, DeleteResource
from busbar.messages.views import OperationView, ResourceView
from busbar.sdk import events
from busbar.sdk.answers import LongAnswer, OnProgress
from busbar.sdk.errors import StillRunning
from busbar.sdk.facts import FactCalls
from busbar.sdk.interventions import Interventions
from busbar.sdk.principals import PrincipalCalls
from busbar.sdk.reading import PAGE, items_of, present, segment, typed
from busbar.sdk.receipt import Receipt
from busbar.sdk.transport import MAX_WAIT
from busbar.sdk.webhooks import WebhookCalls


class Client(FactCalls, WebhookCalls, PrincipalCalls, Interventions):
    """A client of a gateway. Use it as an async context manager; calls may run concurrently.

    Without ``url`` and ``token`` it finds the platform: in ``BUSBAR_URL`` and ``BUSBAR_TOKEN``,
    else in the home of the `busbar up` on this machine (``BUSBAR_HOME``, by default ``.busbar``).
    A :class:`~busbar.sdk.KeyToken` as ``token`` authenticates as a principal; so do the variables
    ``BUSBAR_PRINCIPAL`` and ``BUSBAR_KEY_FILE``.

    ``source`` is the URI of the producer of all events that this client publishes. Without it, a
    principal publishes with the only source that is declared for it, and others with
    ``default_source``. ``now`` gives
    the time of events; without it they have none, and the time of recording counts. In a program
    that uses OpenTelemetry, requests become part of the current trace. ``on_wait`` is called with a
    sentence when a request takes long, or is about to be sent again.
    """

    # -- publishing -----------------------------------------------------------------------------

    async def apply(
        self,
        resource: str | ResourceId,
        spec: Mapping[str, Any],
        *,
        version: str | None = None,
        expected_generation: int | None = None,
        event_id: str | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Publish the intent to create ``resource``, or to change it to match ``spec``."""
        fields = {"version": version, "expected_generation": expected_generation}
        data = {**events.resource_parts(resource), **fields, "spec": spec}
        intent = events.intent_of(ApplyResource, data)
        return await self.send(intent, event_id=event_id, key=key)

    async def delete(
        self,
        resource: str | ResourceId,
        *,
        expected_generation: int | None = None,
        event_id: str | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Publish the intent to delete ``resource``."""
        data = {**events.resource_parts(resource), "expected_generation": expected_generation}
        intent = events.intent_of(DeleteResource, data)
        return await self.send(intent, event_id=event_id, key=key)

    async def redrive(
        self,
        dead_letter: str,
        *,
        service: str,
        event_id: str | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Publish the intent to redrive ``dead_letter`` of ``service``."""
        intent = events.intent_of(
            RedriveDeadLetter, {"service": service, "dead_letter": dead_letter}
        )
        return await self.send(intent, event_id=event_id, key=key)

    async def discard(
        self,
        dead_letter: str,
        *,
        service: str,
        event_id: str | None = None,
        key: str | None = None,
    ) -> Receipt:
        """Publish the intent to discard ``dead_letter``; the operation that waits for it ends."""
        intent = events.intent_of(
            DiscardDeadLetter, {"service": service, "dead_letter": dead_letter}
        )
        return await self.send(intent, event_id=event_id, key=key)

    # -- operations -----------------------------------------------------------------------------

    async def operation(self, operation: str, *, wait: float = 0) -> OperationView:
        """Return the operation, as soon as it has ended or after ``wait`` seconds (at most 30)."""
        wait = min(max(wait, 0.0), MAX_WAIT)
        params = present(wait=f"{wait:g}" if wait else None)
        answer = await self._get(f"/v1/operations/{segment(operation)}", params, wait=wait)
        return typed(OperationView, answer.body)

    async def wait(self, operation: str, timeout: float = 60.0) -> OperationView:  # noqa: ASYNC109 - the usual name; it raises an error of its own
        """Return the operation when it has ended, or is stuck and needs a person.

        Raises:
            StillRunning: it had not ended after ``timeout`` seconds.
        """
        views = [view async for view in self.follow(operation, timeout=timeout, poll=5.0)]
        return views[-1]

    async def follow(
        self,
        operation: str,
        *,
        timeout: float,  # noqa: ASYNC109 - as above
        poll: float = 1.0,
    ) -> AsyncIterator[OperationView]:
        """Iterate over the operation, now and after every change, until it has ended or is stuck.

        Its end is reported immediately, earlier changes every ``poll`` seconds.

        Raises:
            StillRunning: it had not ended after ``timeout`` seconds.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        seen = await self.operation(operation)
        yield seen
        while not (seen.ended or seen.status == "stuck"):
            left = deadline - loop.time()
            if left <= 0:
                raise StillRunning(seen, timeout)
            view = await self.operation(operation, wait=min(poll, max(left, 0.01)))
            if view != seen:
                yield view
            seen = view

    def operations(
        self, *, resource: str | None = None, status: str | None = None
    ) -> AsyncIterator[OperationView]:
        """Iterate over operations: all, or those of a resource or in a status."""
        params = present(resource=resource, status=status, limit=PAGE)
        return self._pages("/v1/operations", OperationView, params)

    # -- resources ------------------------------------------------------------------------------

    async def resource(self, resource: str | ResourceId, *, reveal: bool = False) -> ResourceView:
        """Return a resource; a :class:`GatewayProblem` with status 404 if it never existed.

        With ``reveal``, the personal values of its spec and outputs are in clear.
        """
        path = "/".join(map(segment, str(resource).split("/")))
        params = present(reveal="personal" if reveal else None)
        return typed(ResourceView, (await self._get(f"/v1/resources/{path}", params)).body)

    def resources(
        self, *, team: str | None = None, prefix: str | None = None
    ) -> AsyncIterator[ResourceView]:
        """Iterate over resources: all, those of a team, or those whose ids begin so."""
        params = present(team=team, prefix=prefix or None, limit=PAGE)
        return self._pages("/v1/resources", ResourceView, params)

    # -- promises -------------------------------------------------------------------------------

    async def promises(self) -> tuple[PromiseView, ...]:
        """Return the promises by name, those that cannot be offered included."""
        return typed(PromiseList, (await self._get("/v1/promises")).body).items

    # -- dead letters ---------------------------------------------------------------------------

    def dead_letters(self, *, service: str | None = None) -> AsyncIterator[DeadLetter]:
        """Iterate over dead letters, all or those of a service, without their records."""
        return self._pages("/v1/dead-letters", DeadLetter, present(service=service, limit=PAGE))

    async def dead_letter(self, dead_letter: str) -> DecryptedDeadLetter:
        """Return a dead letter and its decrypted record."""
        answer = await self._get(f"/v1/dead-letters/{segment(dead_letter)}")
        return typed(DecryptedDeadLetter, answer.body)

    # -- the audit log --------------------------------------------------------------------------

    async def audit_page(
        self,
        *,
        after: str | None = None,
        resource: str | None = None,
        operation: str | None = None,
        limit: int = 500,
    ) -> AuditPage:
        """Return the records after a cursor, and the cursor to continue from, also at the end.

        Without a cursor, also the number of all records.
        """
        params = present(after=after, resource=resource, operation=operation, limit=limit)
        body = (await self._get("/v1/audit/records", params)).body
        items = tuple(typed(AuditRecord, item) for item in items_of(body))
        following = body.get("next") or (items[-1].cursor if items else after)
        return AuditPage(items=items, cursor=following, total=body.get("total"))

    async def completeness(self, *, progress: OnProgress | None = None) -> Completeness:
        """Compare the audit log with everything that was published."""
        answer = LongAnswer(self._transport, "/v1/audit/completeness", {}, progress=progress)
        return typed(Completeness, await answer.result())

    def why(
        self, about: str, *, last: int | None = None, progress: OnProgress | None = None
    ) -> AsyncIterator[Sentence]:
        """Iterate over the explanation of an operation, or of the operations of a resource.

        Operations come in the order in which they began, the sentences of each in that of their
        times. With ``last``, only so many of a resource's newest operations are explained.
        """
        params = {"resource" if "/" in about else "operation": about, **present(last=last)}
        answer = LongAnswer(self._transport, "/v1/audit/explain", params, progress=progress)
        return answer.items(Sentence)

    def state_at(
        self,
        time: datetime,
        *,
        resource: str | None = None,
        by: Literal["recorded", "event"] = "recorded",
        progress: OnProgress | None = None,
    ) -> AsyncIterator[ResourceView]:
        """Iterate over the resources as recorded at ``time``, or by the times of the events."""
        params = present(at=format_time(time), resource=resource, by=by)
        answer = LongAnswer(self._transport, "/v1/audit/state", params, progress=progress)
        return answer.items(ResourceView)

    async def ready(self) -> bool:
        """Return whether the gateway is ready."""
        answer = await self._get("/readyz")
        return bool(answer.body.get("ready", True))
