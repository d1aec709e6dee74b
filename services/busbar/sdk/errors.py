"""What can go wrong between a program and the gateway, and what to do about it."""

from busbar.kernel.errors import BusbarError
from busbar.messages.views import OperationView


class InvalidIntent(BusbarError):
    """What was to be published is no valid intent; nothing was sent."""


class GatewayProblem(BusbarError):
    """The gateway refused: an RFC 9457 problem with busbar's members ``fix`` and ``code``."""

    def __init__(
        self, *, status: int, title: str, detail: str = "", fix: str = "", code: str = ""
    ) -> None:
        """Give the HTTP ``status`` and what the answer said."""
        super().__init__(f"{title}: {detail}" if detail else title)
        self.status = status
        self.title = title
        self.detail = detail
        self.fix = fix
        self.code = code


class Unreachable(BusbarError):
    """No answer came from the gateway. The request may or may not have arrived.

    Publishing the same event (source and id) again is safe: it counts once.
    """

    def __init__(self, url: str, why: str) -> None:
        """Name the ``url`` that was tried and ``why`` it did not work."""
        super().__init__(f"The gateway at {url} does not answer: {why}.")
        self.url = url
        self.fix = "Start the platform with `busbar up`, or check the gateway's URL."


class StillRunning(BusbarError):
    """The operation did not end in time. It goes on; ``view`` is the last that was seen of it."""

    def __init__(self, view: OperationView, seconds: float) -> None:
        """Say how long was waited, in seconds."""
        super().__init__(f"Operation {view.id} is still {view.status} after {seconds:g} seconds.")
        self.view = view
        self.fix = f"It goes on by itself; look again with `busbar operation {view.id} --wait`."
