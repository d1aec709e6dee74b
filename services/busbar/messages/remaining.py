"""The rest of a step that an operation neither made as requested nor undid."""

from typing import Literal

from pydantic import Field

from busbar.kernel.text import truncate
from busbar.messages.base import JsonObject, Part, Slug

Presence = Literal["ours", "foreign", "absent", "unknown"]
"""What was observed last: ``unknown`` if the backend could not be observed."""


class Remaining(Part):
    """A step that is neither as requested nor as before, and what is there now."""

    step: Slug
    adapter: Slug
    presence: Presence
    inputs: JsonObject = Field(description="The inputs that it was given last.")
    outputs: JsonObject = Field(description="The outputs that were observed last.")
    reason: str = ""
    detail: str = ""

    def __str__(self) -> str:
        """Return what is there in a few words."""
        if self.presence == "absent":
            return f"{self.step} does not exist any more"
        if self.presence == "foreign":
            return f"{self.step} belongs to another owner"
        values = {**self.inputs, **self.outputs}
        shown = ", ".join(f"{name}={truncate(str(value))}" for name, value in values.items())
        sure = "" if self.presence == "ours" else ", as far as is known"
        return f"{self.step} exists ({shown}{sure})"
