"""``/v1/subscriptions``: webhook subscriptions and their deliveries.

What changes them is an intent, as everywhere: subscribing, test events, deliveries made again.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from busbar.gateway.routes.parameters import After, ByTeam, Limit, name_part
from busbar.gateway.routes.problems import BAD_PARAMETER, FORBIDDEN, problems, require_found
from busbar.gateway.routes.reading import Read
from busbar.messages.http import DeliveryPage, SubscriptionPage
from busbar.messages.webhooks import DeliveryStatus, DeliveryView, SubscriptionView

router = APIRouter(prefix="/v1/subscriptions", tags=["subscriptions"])

Team = Annotated[str, name_part("The team that it belongs to.")]
Name = Annotated[str, name_part("Its own name.")]
_LIST = "busbar subscription list"
_BAD_NAME = "A part of the id is not a valid name."


@router.get(
    "", response_model=SubscriptionPage, responses=problems(_400=BAD_PARAMETER, _403=FORBIDDEN)
)
async def list_subscriptions(
    views: Read, team: ByTeam = None, after: After = None, limit: Limit = 100
) -> dict[str, Any]:
    """List subscriptions by team and name."""
    return await views.subscriptions(team=team, after=after, limit=limit)


@router.get(
    "/{team}/{name}",
    response_model=SubscriptionView,
    responses=problems(_400=_BAD_NAME, _404="There is no such subscription."),
)
async def get_subscription(team: Team, name: Name, views: Read) -> Any:
    """Return one subscription."""
    key = f"{team}/{name}"
    return require_found(await views.subscription(key), f"subscription {key}", listed_by=_LIST)


@router.get(
    "/{team}/{name}/deliveries",
    response_model=DeliveryPage,
    responses=problems(
        _400=BAD_PARAMETER, _404="There is no such subscription, and never was a delivery to it."
    ),
)
async def list_deliveries(
    team: Team,
    name: Name,
    views: Read,
    *,
    status: Annotated[
        DeliveryStatus | None, Query(description="Only deliveries in this status.")
    ] = None,
    after: After = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """List the deliveries of a subscription, newest first, also after it was deleted.

    A delivery is listed from the end of its first attempt.
    """
    key = f"{team}/{name}"
    found = await views.deliveries(subscription=key, status=status, after=after, limit=limit)
    if not found["items"] and not await views.knows_subscription(key):
        require_found(None, f"subscription {key}", listed_by=_LIST)
    return found


@router.get(
    "/{team}/{name}/deliveries/{event}",
    response_model=DeliveryView,
    responses=problems(_400=_BAD_NAME, _404="There is no such delivery."),
)
async def get_delivery(
    team: Team,
    name: Name,
    event: Annotated[str, Path(description="The id of the fact: the header webhook-id.")],
    views: Read,
) -> Any:
    """Return the delivery of one fact, with its attempts."""
    found = await views.delivery(f"{team}/{name}", event)
    attempts = f"busbar subscription attempts {team}/{name}"
    return require_found(found, f"delivery of {event} to {team}/{name}", listed_by=attempts)
