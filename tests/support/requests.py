"""Intents that policy has allowed, as the services that carry them out receive them."""

from collections.abc import Mapping
from typing import Any

from busbar.kernel.ids import operation_id
from busbar.messages.base import Intent, IntentRef
from busbar.messages.request import RequestAllowed


def allowed(
    intent: type[Intent], data: Mapping[str, Any], *, source: str, id_: str, about: str = "x"
) -> RequestAllowed:
    """Policy's decision on the intent ``source`` + ``id_`` with this ``data``."""
    return RequestAllowed(
        operation=operation_id(source, id_),
        intent=IntentRef(source=source, id=id_, type=intent.TYPE),
        requested=dict(data),
        about=about,
    )
