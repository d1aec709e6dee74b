"""Answers that come line by line, for as long as they take; one that breaks off is continued."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from busbar.messages.http import Progress
from busbar.sdk.errors import GatewayProblem, Unreachable
from busbar.sdk.reading import Model, typed
from busbar.sdk.retry import RETRIED_STATUSES
from busbar.sdk.transport import Request, Transport, problem_of

OnProgress = Callable[[Progress], None]
"""Is called with the progress of a long answer, now and then."""


class LongAnswer:
    """The answer to a GET that comes in lines of progress and items.

    If it breaks off, it is requested again from the last cursor on; items that came already are
    not yielded again.
    """

    def __init__(
        self,
        transport: Transport,
        path: str,
        params: Mapping[str, str],
        *,
        progress: OnProgress | None = None,
    ) -> None:
        self._end: Any = None
        self._transport = transport
        self._path = path
        self._params = dict(params)
        self._progress = progress
        self._attempt = 0
        self._begun = 0.0
        self._since_cursor = 0

    async def result(self) -> Any:
        """Return the content of the last line. Raises as :meth:`items` does."""
        async for _ in self._whole():
            pass
        return self._end

    async def items(self, model: type[Model]) -> AsyncIterator[Model]:
        """Iterate over the items.

        Raises:
            GatewayProblem: the gateway refused.
            Unreachable: no response came in several attempts, or none came to its end.
        """
        async for item in self._whole():
            yield typed(model, item)

    async def _whole(self) -> AsyncIterator[Any]:
        self._begun = self._transport.now()
        while self._end is None:
            failure: GatewayProblem | Unreachable
            try:
                async for item in self._once():
                    yield item
                failure = Unreachable(self._transport.url, "the response broke off")
            except Unreachable as error:
                failure = error
            except GatewayProblem as error:
                if error.status not in RETRIED_STATUSES:
                    raise
                failure = error
            if self._end is None:
                self._attempt += 1
                await self._transport.before_next(self._attempt, failure, begun=self._begun)

    async def _once(self) -> AsyncIterator[Any]:
        known = self._since_cursor
        request = Request(method="GET", path=self._path, params=self._params)
        async for line in self._transport.lines(request):
            match line:
                case {"item": item}:
                    self._attempt, self._begun = 0, self._transport.now()
                    if known:
                        known -= 1
                        continue
                    yield item
                    self._since_cursor += 1
                    if line.get("cursor") is not None:
                        self._params["after"] = str(line["cursor"])
                        self._since_cursor = 0
                case {"progress": found}:
                    if self._progress is not None:
                        self._progress(typed(Progress, found))
                case {"problem": members}:
                    status = members.get("status") if isinstance(members, dict) else None
                    raise problem_of(status if isinstance(status, int) else 500, members)
                case {"end": end}:
                    self._end = end
                    return
