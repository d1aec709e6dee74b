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
from busbar.messages.permissions import EVERY
from busbar.messages.principals import PrincipalView
from busbar.messages.trace import valid
from busbar.sdk import events
from busbar.sdk.conversion import from_cloudevent
from busbar.sdk.discovery import find_platform
from busbar.sdk.errors import InvalidIntent
from busbar.sdk.key_token import KeyToken
from busbar.sdk.reading import Params, pages, segment, typed
from busbar.sdk.receipt import Receipt
from busbar.sdk.retry import RetryPolicy
from busbar.sdk.trace import active_traceparent
from busbar.sdk.transport import OnWait, Request, Response, Sleep, Transport


class Calls:
    """The connection of a client, and the calls that all others are made of."""

    def __init__(
        self,
        url: str | None = None,
        token: str | SecretStr | KeyToken | None = None,
        *,
        source: str | None = None,
        default_source: str = "urn:busbar:sdk",
        now: Callable[[], datetime] | None = None,
        retry: RetryPolicy | None = None,
        sleep: Sleep = asyncio.sleep,
        on_wait: OnWait | None = None,
    ) -> None:
        self._now = now
        self._default_source = default_source
        found, credential = find_platform(url, token)
        self.principal_name = credential.principal if isinstance(credential, KeyToken) else None
        self._source = source if source or self.principal_name else default_source
        self._transport = Transport(
            found, credential, retry=retry or RetryPolicy(), sleep=sleep, on_wait=on_wait
        )

    @property
    def source(self) -> str:
        """The source of what is published; :meth:`own_source` finds out that of a principal."""
        return self._source or self._default_source

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
        time, source = self._now() if self._now else None, await self.own_source()
        return await self.publish(
            events.event_of(intent, source=source, event_id=event_id, key=key, time=time)
        )

    async def own_source(self) -> str:
        """Return the source of what is published: it is given, or the principal's only one.

        Raises:
            InvalidIntent: its principal has none, or several.
        """
        if self._source is not None:
            return self._source
        path = f"/v1/principals/{segment(self.principal_name or '')}"
        view = typed(PrincipalView, (await self._get(path)).body)
        if EVERY in view.sources:
            self._source = self._default_source
        elif len(view.sources) == 1:
            self._source = view.sources[0]
        else:
            has = f"has {len(view.sources)} sources" if view.sources else "has no source"
            raise InvalidIntent(
                f"The principal {view.principal} {has}; give the one to publish with as `source`."
            )
        return self._source

    async def _get(self, path: str, params: Params | None = None, *, wait: float = 0) -> Response:
        return await self._transport.send(
            Request(method="GET", path=path, params=params or {}, wait=wait)
        )

    def _pages(self, path: str, model: Any, params: Params) -> AsyncIterator[Any]:
        async def get(query: Params) -> Any:
            return (await self._get(path, query)).body

        return pages(get, model, params)
