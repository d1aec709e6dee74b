"""The base of the client's calls: the connection, publishing, and reading pages."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from cloudevents.core.base import BaseCloudEvent
from pydantic import SecretStr

from busbar.messages.base import Intent
from busbar.messages.envelope import Envelope
from busbar.messages.trace import valid
from busbar.sdk import events
from busbar.sdk.conversion import from_cloudevent
from busbar.sdk.discovery import find_platform
from busbar.sdk.reading import Params, pages, typed
from busbar.sdk.receipt import Receipt
from busbar.sdk.retry import RetryPolicy
from busbar.sdk.trace import active_traceparent
from busbar.sdk.transport import OnWait, Request, Response, Sleep, Transport


class Calls:
    """The connection of a client, and the calls that all others are made of."""

    def __init__(
        self,
        url: str | None = None,
        token: str | SecretStr | None = None,
        *,
        source: str = "urn:busbar:sdk",
        now: Callable[[], datetime] | None = None,
        retry: RetryPolicy | None = None,
        sleep: Sleep = asyncio.sleep,
        on_wait: OnWait | None = None,
    ) -> None:
        self.source = source
        self._now = now
        found, secret = find_platform(url, token)
        self._transport = Transport(
            found, secret, retry=retry or RetryPolicy(), sleep=sleep, on_wait=on_wait
        )

    async def __aenter__(self) -> Self:
        """Open the connection pool."""
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close every connection."""
        await self._transport.close()

    async def publish(self, event: BaseCloudEvent | Envelope) -> Receipt:
        """Publish ``event``. The same source and id again is the same intent.

        The header ``traceparent`` of the request is the event's extension attribute, else the
        current trace of this program if it uses OpenTelemetry.

        Raises:
            InvalidIntent: the event is invalid; nothing was sent.
            GatewayProblem: the gateway refused it; 409 means that the id was used for another
                body.
            Unreachable: no response came. Publish the same event again to be sure.
        """
        if not isinstance(event, Envelope):
            event = from_cloudevent(event)
        trace = valid(event.extensions.get("traceparent")) or active_traceparent()
        answer = await self._transport.send(
            Request(
                method="POST",
                path="/v1/events",
                body=events.write(event),
                headers={
                    "Content-Type": events.CONTENT_TYPE,
                    **({"traceparent": trace} if trace else {}),
                },
            )
        )
        replayed = answer.headers.get("Idempotent-Replayed", "").lower() == "true"
        return typed(Receipt, {**answer.body, "replayed": replayed})

    async def send(
        self, intent: Intent, *, event_id: str | None = None, key: str | None = None
    ) -> Receipt:
        """Publish ``intent``.

        With ``event_id``, every call publishes the same intent; with ``key``, every call with the
        same content does; without either, every call publishes a new intent.
        """
        time = self._now() if self._now else None
        return await self.publish(
            events.event_of(intent, source=self.source, event_id=event_id, key=key, time=time)
        )

    async def _get(self, path: str, params: Params | None = None, *, wait: float = 0) -> Response:
        return await self._transport.send(
            Request(method="GET", path=path, params=params or {}, wait=wait)
        )

    def _pages(self, path: str, model: Any, params: Params) -> AsyncIterator[Any]:
        async def get(query: Params) -> Any:
            return (await self._get(path, query)).body

        return pages(get, model, params)
