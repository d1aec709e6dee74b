"""The result of publishing an event."""

from pydantic import Field

from busbar.messages.http import Accepted


class Receipt(Accepted):
    """An accepted event; follow its ``operation`` for the outcome.

    The gateway answers a repeated event with the same body and marks it in a header.
    """

    replayed: bool = Field(default=False, description="The event had been accepted before.")
