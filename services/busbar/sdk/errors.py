"""The errors of the client."""

from busbar.kernel.errors import BusbarError
from busbar.messages.views import OperationView


class InvalidIntent(BusbarError):
    """The intent or event is invalid; nothing was sent."""


class GatewayProblem(BusbarError):
    """The gateway refused: an RFC 9457 problem with busbar's members ``fix`` and ``code``."""

    def __init__(
        self, *, status: int, title: str, detail: str = "", fix: str = "", code: str = ""
    ) -> None:
        super().__init__(f"{title}: {detail}" if detail else title)
        self.status = status
        self.title = title
        self.detail = detail
        self.fix = fix
        self.code = code


class Unreachable(BusbarError):
    """The gateway did not respond. The request may or may not have arrived.

    Publishing the same event (source and id) again is safe: it counts once.
    """

    def __init__(self, url: str, why: str) -> None:
        super().__init__(f"The gateway at {url} does not answer: {why}.")
        self.url = url
        self.fix = "Start the platform with `busbar up`, or check the gateway's URL."


class StillRunning(BusbarError):
    """The operation did not end in time. It continues; ``view`` is its last known state."""

    def __init__(self, view: OperationView, seconds: float) -> None:
        super().__init__(f"Operation {view.id} is still {view.status} after {seconds:g} seconds.")
        self.view = view
        self.fix = f"It continues by itself; look again with `busbar operation {view.id} --wait`."
