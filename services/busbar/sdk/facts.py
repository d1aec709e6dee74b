"""Calls about facts: by team, type, resource or operation, as they were published."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from cloudevents.core.v1.event import CloudEvent

from busbar.messages.base import Fact
from busbar.messages.envelope import Envelope
from busbar.messages.http import FactItem
from busbar.sdk.calls import Calls
from busbar.sdk.conversion import envelope_of_fact, to_cloudevent
from busbar.sdk.reading import PAGE, Params, pages, present, stream, typed
from busbar.sdk.transport import MAX_WAIT

FactT = TypeVar("FactT", bound=Fact)


@dataclass(frozen=True, slots=True)
class ReceivedFact(Generic[FactT]):
    """A fact with its data as a message; ``cursor`` is the ``after`` to continue behind it."""

    message: FactT
    envelope: Envelope
    cursor: str


class FactCalls(Calls):
    """Calls about facts."""

    @overload
    def facts(
        self,
        *,
        types: Sequence[type[FactT]],
        team: str | None = None,
        resource: str | None = None,
        operation: str | None = None,
        after: str | None = None,
        follow: bool = False,
    ) -> AsyncIterator[ReceivedFact[FactT]]: ...

    @overload
    def facts(
        self,
        *,
        types: Sequence[str] = (),
        team: str | None = None,
        resource: str | None = None,
        operation: str | None = None,
        after: str | None = None,
        follow: bool = False,
    ) -> AsyncIterator[FactItem]: ...

    def facts(
        self,
        *,
        types: Sequence[type[Fact]] | Sequence[str] = (),
        team: str | None = None,
        resource: str | None = None,
        operation: str | None = None,
        after: str | None = None,
        follow: bool = False,
    ) -> AsyncIterator[Any]:
        """Iterate over facts in order, from the first or after a cursor (``now``: only new ones).

        The gateway selects them. ``types`` are messages (``[ResourceProvisioned]``), or the names
        of types, in which a ``*`` stands for any characters. For messages the items are of the
        type :class:`ReceivedFact`, with typed data. With ``follow`` it does not end: it waits for
        new facts.
        """
        models = {type_.TYPE: type_ for type_ in types if not isinstance(type_, str)}
        names = tuple(type_ if isinstance(type_, str) else type_.TYPE for type_ in types)
        params = present(after=after, resource=resource, operation=operation, team=team, limit=PAGE)
        found = self._facts({**params, "type": names} if names else params, follow=follow)
        return _received(found, models) if models else found

    async def fact_events(
        self,
        *,
        types: Sequence[type[Fact]] | Sequence[str] = (),
        team: str | None = None,
        resource: str | None = None,
        operation: str | None = None,
        after: str | None = None,
        follow: bool = False,
    ) -> AsyncIterator[CloudEvent]:
        """Iterate over :meth:`facts` as events of the official CloudEvents SDK.

        The extension attribute ``cursor`` of an event is the ``after`` to continue behind it.
        """
        names = [type_ if isinstance(type_, str) else type_.TYPE for type_ in types]
        async for fact in self.facts(
            types=names,
            team=team,
            resource=resource,
            operation=operation,
            after=after,
            follow=follow,
        ):
            yield to_cloudevent(fact)

    def _facts(self, params: Params, *, follow: bool) -> AsyncIterator[FactItem]:
        wait = MAX_WAIT if follow else 0.0

        async def get(query: Params) -> Any:
            waiting = {**query, "wait": f"{wait:g}"} if follow else query
            return (await self._get("/v1/facts", waiting, wait=wait)).body

        if follow:
            return stream(get, FactItem, params)
        return pages(get, FactItem, params, until_empty=True)


async def _received(
    items: AsyncIterator[FactItem], models: dict[str, type[Fact]]
) -> AsyncIterator[ReceivedFact[Any]]:
    async for item in items:
        message = typed(models[item.type], item.data)
        yield ReceivedFact(message, envelope_of_fact(item), item.cursor)
