"""Records of the copy."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from busbar.messages import topics
from busbar.messages.base import Fact
from busbar.messages.catalogue import BY_TYPE, belongs


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRecord:
    """One record of the bus as stored in the copy. Times are RFC 3339 text in UTC.

    ``data`` is None for a record that is not a CloudEvent; its bytes are stored encrypted.
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
        """True if its topic is one for intents, which every producer may write to."""
        return self.topic in topics.INTENTS

    def fact(self) -> Fact | None:
        """Return the fact in this record, or None if it holds none.

        A fact counts only on its own topic, where only services publish, and only if it fits its
        schema: one record that does not fit must not hide all the others.
        """
        model = BY_TYPE.get(self.type)
        if model is None or not issubclass(model, Fact) or not self.readable:
            return None
        if not belongs(model, self.topic):
            return None
        try:
            return model.model_validate(self.data)
        except ValidationError:
            return None
