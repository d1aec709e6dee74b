"""Projects facts into the views that clients read."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from busbar.gateway.handlers.kinds import (
    DEAD_LETTER,
    DEAD_LETTER_OF,
    DEAD_LETTER_OF_NONE,
    DEAD_LETTER_RECORD,
    DELIVERY,
    OF,
    PRINCIPAL,
    PRINCIPAL_IN_TEAMS,
    PRINCIPAL_OF,
    RESOURCE,
    SUBSCRIPTION,
)
from busbar.gateway.handlers.operations import project_operation
from busbar.kernel.clock import format_time
from busbar.kernel.ids import event_id
from busbar.messages import topics
from busbar.messages.base import Fact
from busbar.messages.catalogue import FACTS, INTENTS
from busbar.messages.delivery import (
    DeadLetterDiscarded,
    DeadLettered,
    DeadLetterRecovered,
    DeadLetterRedriven,
    HeadPublished,
)
from busbar.messages.identity import IdentityFact
from busbar.messages.notification import Subscribed, Unsubscribed
from busbar.messages.principals import PrincipalView, evolve_principal
from busbar.messages.selection import owner_of, team_in
from busbar.messages.views import ResourceView, evolve_resource
from busbar.messages.webhooks import (
    DeliveryFact,
    DeliveryView,
    evolve_delivery,
    subscription_of,
)
from busbar.runtime.consume.service import Received, Service
from busbar.runtime.store import Cause, Document, Transaction

DeadLetterFact = DeadLettered | DeadLetterRedriven | DeadLetterRecovered | DeadLetterDiscarded


class Gateway:
    """The projection that the HTTP API reads."""

    def service(self) -> Service:
        """Return the service with its handlers registered."""
        service = Service("gateway", emits=INTENTS)
        for fact in FACTS:
            if fact is not HeadPublished:
                service.on(fact, self.project)
        return service

    async def project(self, received: Received[Fact], tx: Transaction) -> None:
        """Fold one fact into the views, and store it for clients that follow facts."""
        fact, envelope = received.message, received.envelope
        time = format_time(envelope.time) if envelope.time else ""
        operation, resource = fact.operation_id, fact.resource_id
        owner = owner_of(resource, envelope.data)
        tx.caused_by(Cause(envelope.source, envelope.id, operation or ""))
        await tx.append_raw(
            f"facts/{received.record.topic}/{received.record.partition}",
            id_=event_id("gateway", envelope.source, envelope.id, 0),
            type_=envelope.type,
            data=json.dumps(envelope.data, ensure_ascii=False),
            metadata={
                "id": envelope.id,
                "source": envelope.source,
                "time": time,
                "topic": received.record.topic,
                "operation": operation,
                "resource": resource,
            },
            key=owner,
        )
        if operation is not None:
            await project_operation(operation, fact, owner, time, tx)
        if resource is not None and received.record.topic == topics.FACTS_RESOURCE:
            await _project_resource(resource, fact, time, tx)
        if isinstance(fact, Subscribed | Unsubscribed):
            await _project_subscription(fact, time, tx)
        if isinstance(fact, DeliveryFact):
            await _project_delivery(fact, time, tx)
        if isinstance(fact, IdentityFact):
            await _project_principal(fact, time, tx)
        if isinstance(fact, DeadLetterFact):
            await _project_dead_letter(fact, time, tx)


async def _project_resource(resource: str, fact: Fact, time: str, tx: Transaction) -> None:
    known = await tx.documents.get(RESOURCE, resource)
    before = ResourceView.model_validate(known) if known else None
    after = evolve_resource(before, fact, time=time)
    if after is None or after == before:
        return
    value = after.model_dump(mode="json")
    await tx.documents.put(Document(kind=RESOURCE, key=resource, rank=resource, value=value))


async def _project_principal(fact: IdentityFact, time: str, tx: Transaction) -> None:
    key = fact.principal
    known = await tx.documents.get(PRINCIPAL, key)
    before = PrincipalView.model_validate(known) if known else None
    view = evolve_principal(before, fact, time=time)
    if view is None or view == before:
        return
    value = view.model_dump(mode="json")
    await tx.documents.put(Document(kind=PRINCIPAL, key=key, rank=key, value=value))
    await _index_principal(
        key, was=before.teams if before is not None else (), now=view.teams, tx=tx
    )


async def _index_principal(
    name: str, *, was: Collection[str], now: Collection[str], tx: Transaction
) -> None:
    """List a principal under the teams that it is in ``now``, and no longer where it was."""
    entry = Document(kind=PRINCIPAL_OF, key=name, rank=name, value={OF: name})
    for team in sorted(set(was) - set(now)):
        await tx.documents.remove(PRINCIPAL_OF, f"{team}|{name}")
    for team in sorted(set(now) - set(was)):
        await tx.documents.put(replace(entry, key=f"{team}|{name}", parent=team))
    if now and not was:
        await tx.documents.put(replace(entry, kind=PRINCIPAL_IN_TEAMS))
    if was and not now:
        await tx.documents.remove(PRINCIPAL_IN_TEAMS, name)


async def _project_subscription(
    fact: Subscribed | Unsubscribed, time: str, tx: Transaction
) -> None:
    if isinstance(fact, Unsubscribed):
        await tx.documents.remove(SUBSCRIPTION, fact.subscription)
        return
    view = subscription_of(fact, time=time)
    key, value = view.subscription, view.model_dump(mode="json")
    await tx.documents.put(
        Document(kind=SUBSCRIPTION, key=key, parent=view.team, rank=key, value=value)
    )


async def _project_delivery(fact: DeliveryFact, time: str, tx: Transaction) -> None:
    """Fold an attempt; deliveries are listed in the order of their first attempts."""
    key = f"{fact.subscription}|{fact.event}"
    known = await tx.documents.get(DELIVERY, key)
    before = DeliveryView.model_validate(known["view"]) if known else None
    view = evolve_delivery(before, fact, time=time)
    rank = known["rank"] if known else f"{time}/{fact.event}"
    value: Mapping[str, Any] = {"view": view.model_dump(mode="json"), "rank": rank}
    await tx.documents.put(
        Document(kind=DELIVERY, key=key, parent=fact.subscription, rank=rank, value=value)
    )


async def _project_dead_letter(fact: DeadLetterFact, time: str, tx: Transaction) -> None:
    known = dict(await tx.documents.get(DEAD_LETTER, fact.dead_letter) or {})
    match fact:
        case DeadLettered():
            shown = fact.model_dump(mode="json")
            record = {"sealed": shown.pop("sealed")}
            await tx.documents.put(
                Document(kind=DEAD_LETTER_RECORD, key=fact.dead_letter, value=record)
            )
            known = {"redriven": [], **known, **shown, "time": time}
            await _index_dead_letter(fact, time, tx)
        case _ if not known:
            return  # a request named a dead letter that does not exist
        case DeadLetterRecovered():
            known["recovered"] = time
        case _:
            outcome = {"outcome": fact.outcome, "detail": fact.detail, "time": time}
            known["redriven"] = [*known["redriven"], outcome]
    rank = f"{known['time']}/{fact.dead_letter}"
    await tx.documents.put(
        Document(
            kind=DEAD_LETTER, key=fact.dead_letter, parent=fact.service, rank=rank, value=known
        )
    )


async def _index_dead_letter(fact: DeadLettered, time: str, tx: Transaction) -> None:
    """List a dead letter under its team; records that cannot be read belong to none."""
    team = team_in(fact.ordering_key)
    await tx.documents.put(
        Document(
            kind=DEAD_LETTER_OF if team else DEAD_LETTER_OF_NONE,
            key=fact.dead_letter,
            parent=team or "",
            rank=f"{time}/{fact.dead_letter}",
            value={OF: fact.dead_letter},
        )
    )
