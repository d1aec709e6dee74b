"""Making the events that publish intents."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from busbar.kernel.resource import ResourceId
from busbar.messages.base import Intent
from busbar.messages.codec import http as codec
from busbar.messages.envelope import Envelope
from busbar.messages.intervention import AbandonOperation, ReleaseResource, RetryOperation
from busbar.messages.notification import (
    ApplySubscription,
    DeleteSubscription,
    ResendDeliveries,
    SendTestEvent,
)
from busbar.messages.resource import ApplyResource, DeleteResource
from busbar.messages.validation import describe
from busbar.sdk.errors import InvalidIntent
from busbar.sdk.ids import derived_id, fresh_id
from busbar.sdk.trace import active_traceparent

SubscriptionIntent = ApplySubscription | DeleteSubscription | SendTestEvent | ResendDeliveries


def intent_of(model: type[Intent], data: Mapping[str, Any]) -> Intent:
    """Return the intent with this ``data``.

    Raises:
        InvalidIntent: the data is invalid; the sentence names every wrong field.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        # Without the cause: it would print the values, which may be secrets.
        raise InvalidIntent(
            f"The data of {model.TYPE} are invalid: {describe(error, model)}."
        ) from None


def resource_parts(resource: str | ResourceId) -> dict[str, str]:
    """Return the four fields that identify ``resource`` in an intent.

    Raises:
        InvalidIntent: it is not team/environment/promise/name.
    """
    if not isinstance(resource, str | ResourceId):
        raise InvalidIntent("A resource is text: team/environment/promise/name.")
    try:
        known = resource if isinstance(resource, ResourceId) else ResourceId.parse(resource)
    except ValueError as error:
        raise InvalidIntent(f"{error}.") from error
    return {
        "team": known.team,
        "environment": known.environment,
        "promise": known.promise,
        "name": known.name,
    }


def subscription_parts(subscription: str) -> dict[str, str]:
    """Return the two fields that identify ``subscription`` in an intent.

    Raises:
        InvalidIntent: it is not team/name.
    """
    team, slash, name = subscription.partition("/")
    if not slash or not team or not name or "/" in name:
        raise InvalidIntent(f"{subscription!r} is not a subscription: write team/name.")
    return {"team": team, "name": name}


def event_of(
    intent: Intent,
    *,
    source: str,
    event_id: str | None = None,
    key: str | None = None,
    time: datetime | None = None,
) -> Envelope:
    """Return the event that publishes ``intent``.

    Its id is ``event_id``, else derived from content and ``key``, else unique.
    """
    data = intent.model_dump(mode="json", exclude_none=True)
    if event_id is None:
        event_id = derived_id(key, intent.TYPE, data) if key else fresh_id(intent.TYPE, data)
    trace = active_traceparent()
    return Envelope(
        id=event_id,
        source=source,
        type=intent.TYPE,
        subject=_subject(intent),
        time=time,
        extensions={"traceparent": trace} if trace else {},
        data=data,
    )


_ABOUT_RESOURCES = (
    ApplyResource,
    DeleteResource,
    RetryOperation,
    AbandonOperation,
    ReleaseResource,
)


def _subject(intent: Intent) -> str | None:
    if isinstance(intent, _ABOUT_RESOURCES):
        return str(ResourceId(intent.team, intent.environment, intent.promise, intent.name))
    if isinstance(intent, SubscriptionIntent):
        return f"{intent.team}/{intent.name}"  # their key: order is kept per subscription
    return None


def write(event: Envelope) -> bytes:
    """Return ``event`` as the body of a request, in structured mode.

    Raises:
        InvalidIntent: it is not a valid CloudEvent, or too large.
    """
    try:
        return codec.structured(event)
    except ValueError as error:
        raise InvalidIntent(str(error)) from error


CONTENT_TYPE = codec.CONTENT_TYPE
