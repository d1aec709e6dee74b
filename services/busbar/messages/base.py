"""The base classes of messages: :class:`Intent` and :class:`Fact`."""

from typing import Annotated, Any, ClassVar, Final, Literal
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, StringConstraints

from busbar.kernel.numbers import normalized
from busbar.kernel.resource import SLUG
from busbar.messages.envelope import Envelope

Slug = Annotated[str, StringConstraints(pattern=f"^{SLUG}$")]
"""A DNS label: lower-case letters, digits and inner hyphens, at most 63 characters."""

ResourceName = Annotated[str, StringConstraints(pattern=f"^{SLUG}(/{SLUG}){{3}}$")]
"""``team/environment/promise/name``."""

WHOLE = BeforeValidator(normalized)
"""Takes a whole number however JSON writes it, 3.0 as 3; follows the limits of a strict integer."""

Count = Annotated[StrictInt, Field(ge=0), WHOLE]
"""A whole number from 0."""

JsonObject = dict[str, Any]

Status = Literal["draft", "published"]
"""A draft may change in any way. What is published is frozen by the release that has it."""

FORMATS: Final[Status] = "draft"
"""The status of messages, of promise files and of the HTTP API; the first release changes it."""


class Part(BaseModel):
    """A part of a message."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Message(BaseModel):
    """The data of one event. Subclasses set :attr:`TYPE` and :attr:`TOPIC`."""

    model_config = ConfigDict(frozen=True)

    TYPE: ClassVar[str]
    """The CloudEvents type, ``busbar.<family>.<verb>.v<n>``."""

    TOPIC: ClassVar[str]
    """The topic that it is published on."""

    STATUS: ClassVar[Status] = FORMATS
    """The status of all formats, unless the message says that it is a draft still."""

    EXAMPLES: ClassVar[tuple[JsonObject, ...]]
    """Data that this message accepts; written to ``schemas/`` and shown in the documentation."""


class Intent(Message):
    """A request. Read strictly: an unknown field is refused, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    PERMISSION: ClassVar[str]
    """The permission that a principal needs to ask for it (``permissions.py``)."""


class Fact(Message):
    """A record of something that happened. Unknown fields, of a later release, are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    @property
    def operation_id(self) -> str | None:
        """The id of the operation that the fact is about, or None."""
        return self._text("operation")

    @property
    def resource_id(self) -> str | None:
        """The id of the resource that the fact is about, or None."""
        return self._text("resource")

    def _text(self, field: str) -> str | None:
        value = getattr(self, field, None)
        return None if value is None else str(value)


class IntentRef(Part):
    """The CloudEvents identity of an intent."""

    source: str
    id: str
    type: str

    @classmethod
    def of(cls, envelope: Envelope) -> "IntentRef":
        """Return the identity of the event in ``envelope``."""
        return cls(source=envelope.source, id=envelope.id, type=envelope.type)


class OperationFact(Fact):
    """A fact about the processing of one intent."""

    operation: UUID = Field(description="UUIDv5 of the intent's source and id.")
    resource: ResourceName


EXAMPLE_OPERATION = "0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a10"
EXAMPLE_RESOURCE = "payments/dev/event-stream/orders"
EXAMPLE_INTENT: JsonObject = {
    "source": "urn:team:payments",
    "id": "order-stream-1",
    "type": "busbar.resource.apply.v1",
}
