"""The principal that an intent comes from, as decisions record it."""

from typing import Literal

from pydantic import Field

from busbar.messages.base import Part
from busbar.messages.identity import KeyId


class Caller(Part):
    """The principal that asks, and how policy knows."""

    principal: str | None = Field(description="Null if the event is not signed.")
    verified: Literal["signature", "relayed", "unsigned"] = Field(
        description="`relayed`: the gateway has authenticated the principal, and signed. "
        "`unsigned` is accepted for development only."
    )
    key: KeyId | None = Field(default=None, description="The key of the signature.")
    onbehalfof: str | None = Field(
        default=None,
        description="The principal that a service asks for, if it is a service that asks.",
    )
    position: int = Field(
        description="The number of identity facts that were known: the place in the key stream."
    )

    @property
    def root(self) -> str | None:
        """The principal at the root of the chain: everything that follows is on its behalf."""
        return self.onbehalfof or self.principal
