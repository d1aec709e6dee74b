"""The part of the projection that one principal may see: endpoints read through here.

What belongs to a team that the principal may not read is not there for it: a single item is
unknown, and a list does not have it. To ask for such a team by its name is refused, with the same
words whether or not there is one.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from busbar.gateway.domain import forbidden_detail
from busbar.gateway.handlers import (
    DEAD_LETTER,
    DEAD_LETTER_OF,
    DEAD_LETTER_OF_NONE,
    DEAD_LETTER_RECORD,
    DELIVERY,
    OPERATION,
    OPERATION_BY,
    OPERATION_OF,
    OPERATION_OF_NONE,
    PRINCIPAL,
    PRINCIPAL_IN_TEAMS,
    PRINCIPAL_OF,
    RESOURCE,
    SUBSCRIPTION,
)
from busbar.gateway.routes.auth import Session
from busbar.gateway.routes.entries import Page, Place, entries, led_to, page_of
from busbar.gateway.routes.queries import Found, Queries
from busbar.messages.authority import Principal
from busbar.messages.permissions import EVERY
from busbar.messages.principals import PrincipalView
from busbar.messages.read_scope import ReadScope, prefix_of
from busbar.messages.selection import team_in, team_of
from busbar.messages.views import ENDED
from busbar.runtime.http.problems import ProblemError
from busbar.runtime.store import Document

SCANNED = 1000
"""Views that one request looks at in search of those in a status."""


class Views:
    """The part of the gateway's projection that the principal of a ``session`` may see."""

    def __init__(self, queries: Queries, session: Session) -> None:
        self.queries = queries
        self._session = session
        self._use(session.principal)

    def _use(self, principal: Principal) -> None:
        self.reader = principal
        self.scope = ReadScope.of(principal)

    async def until(
        self, look: Callable[[], Awaitable[Found]], good: Callable[[Found], bool], wait: float
    ) -> Found:
        """Return what ``look`` finds as soon as it is ``good``, or after ``wait`` seconds.

        What the principal may see is looked up again after each wait, and before the first one: a
        change between authentication and the wait would wake nothing.
        """

        async def look_as_principal() -> Found:
            if wait:
                self._use(await self._session.again())
            return await look()

        return await self.queries.until(look_as_principal, good, wait)

    # -- rules ----------------------------------------------------------------------------------

    def require(self, team: str | None) -> None:
        """Return if what belongs to ``team`` may be read; None is what belongs to no team.

        Raises:
            ProblemError: it may not (403).
        """
        if self.scope.covers(team):
            return
        detail, fix = forbidden_detail(self.reader.name, team)
        raise ProblemError(HTTPStatus.FORBIDDEN, "forbidden", detail, fix=fix)

    def require_about(self, *, resource: str | None, team: str | None = None) -> None:
        """Return if a list may be asked for what these filters name.

        Raises:
            ProblemError: one of them names a team that may not be read (403).
        """
        if team is not None:
            self.require(team)
        if resource is not None:
            self.require(team_of(resource))

    # -- operations -----------------------------------------------------------------------------

    async def operation(self, id_: str, wait: float) -> Mapping[str, Any] | None:
        """Return one operation; wait up to ``wait`` seconds for it to end."""

        async def look() -> Mapping[str, Any] | None:
            async with self.queries.reading() as tx:
                known = await tx.documents.get(OPERATION, id_)
            return dict(known["view"]) if known is not None and self._sees(known) else None

        return await self.until(look, lambda view: view is None or view["status"] in ENDED, wait)

    def _sees(self, operation: Mapping[str, Any]) -> bool:
        is_own = operation.get("by") == self.reader.name
        return is_own or self.scope.covers(operation.get("team"))

    async def operations(
        self, *, resource: str | None, status: str | None, after: str | None, limit: int
    ) -> Page:
        """Return a page of operations, newest first.

        A page of one status may have fewer items than ``limit``, or none, before the end: a
        request looks at a limited number of views.
        """
        self.require_about(resource=resource)
        size = limit if status is None else SCANNED
        async with self.queries.reading() as tx:
            if self.scope.everything or resource is not None:
                page = await tx.documents.find(
                    OPERATION, parent=resource, after=after, limit=size, newest_first=True
                )
                found = [(one.rank, one.value) for one in page if self._sees(one.value)]
                is_last = len(page) < size
            else:
                places = [*self._places(OPERATION_OF, OPERATION_OF_NONE), self._own_operations]
                listed = await entries(tx, places, after=after, limit=size, newest_first=True)
                found = await led_to(tx, OPERATION, listed)
                is_last = len(listed) < size
        return _views(found, status, limit, is_last=is_last)

    @property
    def _own_operations(self) -> Place:
        return OPERATION_BY, self.reader.name

    def _places(self, of: str, of_none: str) -> list[Place]:
        """Return where the entries of an index by team are that may be seen."""
        teams = self.scope.teams
        found: list[Place] = [(of, None)] if teams is None else [(of, team) for team in teams]
        return [*found, (of_none, None)] if self.scope.platform else found

    # -- resources and subscriptions --------------------------------------------------------------

    async def resource(self, id_: str) -> Mapping[str, Any] | None:
        """Return one resource."""
        if not self.scope.covers(team_of(id_)):
            return None
        async with self.queries.reading() as tx:
            return await tx.documents.get(RESOURCE, id_)

    async def resources(
        self, *, team: str | None, prefix: str | None, after: str | None, limit: int
    ) -> Page:
        """Return a page of resources by name."""
        begin, slash, _ = (prefix or "").partition("/")
        self.require_about(resource=begin if slash else None, team=team)
        prefixes = [prefix or ""] if team is None else [prefix_of(team), prefix or ""]
        return await self._by_name(RESOURCE, prefixes, after=after, limit=limit)

    async def subscription(self, key: str) -> Mapping[str, Any] | None:
        """Return one subscription."""
        if not self.scope.covers(team_of(key)):
            return None
        async with self.queries.reading() as tx:
            return await tx.documents.get(SUBSCRIPTION, key)

    async def knows_subscription(self, key: str) -> bool:
        """Return whether the subscription exists, or had a delivery before it was deleted."""
        if await self.subscription(key) is not None:
            return True
        if not self.scope.covers(team_of(key)):
            return False
        async with self.queries.reading() as tx:
            return bool(await tx.documents.find(DELIVERY, parent=key, limit=1))

    async def subscriptions(self, *, team: str | None, after: str | None, limit: int) -> Page:
        """Return a page of subscriptions by team and name."""
        self.require_about(resource=None, team=team)
        prefixes = [] if team is None else [prefix_of(team)]
        return await self._by_name(SUBSCRIPTION, prefixes, after=after, limit=limit)

    async def _by_name(
        self, kind: str, prefixes: list[str], *, after: str | None, limit: int
    ) -> Page:
        """Return a page of documents whose ranks begin with their team and all of ``prefixes``."""
        teams = self.scope.teams
        scopes = [""] if teams is None else [prefix_of(team) for team in teams]
        found: list[Document] = []
        async with self.queries.reading() as tx:
            for scope in scopes:  # in the order of the ranks that begin with them
                longest = _longest([scope, *prefixes])
                if longest is not None and len(found) < limit:
                    found += await tx.documents.find(
                        kind, prefix=longest or None, after=after, limit=limit - len(found)
                    )
        return page_of(found, limit)

    # -- deliveries -----------------------------------------------------------------------------

    async def delivery(self, subscription: str, event: str) -> Mapping[str, Any] | None:
        """Return the delivery of one fact to one subscription, with its attempts."""
        if not self.scope.covers(team_of(subscription)):
            return None
        async with self.queries.reading() as tx:
            known = await tx.documents.get(DELIVERY, f"{subscription}|{event}")
        return None if known is None else dict(known["view"])

    async def deliveries(
        self, *, subscription: str, status: str | None, after: str | None, limit: int
    ) -> Page:
        """Return a page of a subscription's deliveries, newest first."""
        if not self.scope.covers(team_of(subscription)):
            return {"items": [], "next": None}
        size = limit if status is None else SCANNED
        async with self.queries.reading() as tx:
            page = await tx.documents.find(
                DELIVERY, parent=subscription, after=after, limit=size, newest_first=True
            )
        found = [(one.rank, one.value) for one in page]
        return _views(found, status, limit, is_last=len(page) < size)

    # -- dead letters ---------------------------------------------------------------------------

    async def dead_letters(self, *, service: str | None, after: str | None, limit: int) -> Page:
        """Return a page of dead letters, oldest first, without their records.

        A page of one service may have fewer items than ``limit`` before the end.
        """
        async with self.queries.reading() as tx:
            if self.scope.everything:
                page = await tx.documents.find(
                    DEAD_LETTER, parent=service, after=after, limit=limit
                )
                return page_of(page, limit)
            size = limit if service is None else SCANNED
            places = self._places(DEAD_LETTER_OF, DEAD_LETTER_OF_NONE)
            listed = await entries(tx, places, after=after, limit=size)
            found = await led_to(tx, DEAD_LETTER, listed)
        return _selected(
            found, lambda one: service in {None, one["service"]}, limit, is_last=len(listed) < size
        )

    async def dead_letter(self, id_: str) -> Mapping[str, Any] | None:
        """Return one dead letter with its record still encrypted."""
        async with self.queries.reading() as tx:
            known = await tx.documents.get(DEAD_LETTER, id_)
            record = await tx.documents.get(DEAD_LETTER_RECORD, id_)
        if known is None or record is None or not self.scope.covers(team_in(known["ordering_key"])):
            return None
        return {**known, **record}

    # -- principals -----------------------------------------------------------------------------

    async def principal(self, name: str) -> Mapping[str, Any] | None:
        """Return one principal: itself, or one that shares a team with it."""
        async with self.queries.reading() as tx:
            known = await tx.documents.get(PRINCIPAL, name)
        if known is None or self.scope.platform or name == self.reader.name:
            return known
        other = PrincipalView.model_validate(known).rights
        shares = self.scope.teams is None or any(map(other.is_member, self.scope.teams))
        return known if shares and other.teams else None

    async def principals(self, *, after: str | None, limit: int) -> Page:
        """Return a page of principals by name."""
        teams = self.scope.teams
        async with self.queries.reading() as tx:
            if self.scope.platform:
                page = await tx.documents.find(PRINCIPAL, after=after, limit=limit)
                return page_of(page, limit)
            name = self.reader.name
            if teams == ():  # it is in no team, and sees itself
                listed = [(name, name)] if after is None or after < name else []
            else:
                places: list[Place] = [(PRINCIPAL_IN_TEAMS, None)]
                if teams is not None:
                    places = [(PRINCIPAL_OF, team) for team in (*teams, EVERY)]
                listed = await entries(tx, places, after=after, limit=limit)
            found = await led_to(tx, PRINCIPAL, listed)
        return _selected(found, lambda _one: True, limit, is_last=len(listed) < limit)


def _longest(prefixes: list[str]) -> str | None:
    """Return what begins with all ``prefixes``; None if nothing does."""
    *others, longest = sorted(prefixes, key=len)
    return longest if all(map(longest.startswith, others)) else None


def _views(
    found: Sequence[tuple[str, Mapping[str, Any]]], status: str | None, limit: int, *, is_last: bool
) -> Page:
    """Return a page of the views in ``found`` that are in ``status``."""
    views = [(rank, value["view"]) for rank, value in found]
    return _selected(views, lambda view: status in {None, view["status"]}, limit, is_last=is_last)


def _selected(
    found: Sequence[tuple[str, Mapping[str, Any]]],
    good: Callable[[Mapping[str, Any]], bool],
    limit: int,
    *,
    is_last: bool,
) -> Page:
    """Return a page of those values that are ``good``; ``is_last`` if nothing follows ``found``."""
    items: list[Any] = []
    for rank, value in found:
        if good(value):
            items.append(dict(value))
        if len(items) == limit:
            return {"items": items, "next": rank}
    return {"items": items, "next": found[-1][0] if found and not is_last else None}
