"""One record of audit's copy."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from busbar.messages import topics
from busbar.messages.base import Message
from busbar.messages.catalogue import BY_TYPE, belongs


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One record of the bus, as audit keeps it. Times are RFC 3339 text in UTC.

    ``data`` is None for a record that is no CloudEvent; its bytes are kept sealed.
    """

    cursor: int
    topic: str
    partition: int
    offset: int
    key: str | None
    type: str
    id: str
    source: str
    time: str | None
    recorded_time: str
    resource: str | None
    operation: str | None
    relay: str | None
    sequence: int | None
    value_digest: str
    readable: bool
    data: Any = field(repr=False)

    @property
    def is_intent(self) -> bool:
        """Whether somebody asked for something, in words that anybody may send."""
        return self.topic in topics.INTENTS

    def fact(self) -> Message | None:
        """The fact that this is; None for everything else.

        A fact counts only on its own topic, where nobody but a service publishes, and only if it
        fits its schema: one record that does not must not hide all the others.
        """
        model = BY_TYPE.get(self.type)
        if model is None or not self.readable:
            return None
        if self.is_intent or not belongs(model, self.topic):
            return None
        try:
            return model.model_validate(self.data)
        except ValidationError:
            return None
