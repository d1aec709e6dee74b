"""aiohttp's connections, made to note the head of an answer before they parse its body.

aiohttp parses whatever arrives in one piece. If anything in it is wrong, such as bytes behind a
204, it raises, and the answer before them is lost. Here the head is noted first (see
``domain.answer``); what aiohttp makes of the rest only decides whether the connection is reused.

The connector's ``_factory`` is the one place where aiohttp takes another protocol. It is private;
the tests of the sender fail if an update removes it.
"""

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

from busbar.notifier.domain.answer import AnswerHead, HeadReader, NotHttpError

if TYPE_CHECKING:
    from aiohttp.client import ClientTimeout
    from aiohttp.client_reqrep import ClientRequest
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace


class NotHttpAnswerError(aiohttp.ClientError):
    """The receiver's answer is not HTTP/1."""


class Exchange:
    """One request and its answer: ``head`` is None until the answer's header is complete."""

    def __init__(self) -> None:
        self.head: AnswerHead | None = None
        self._reader = HeadReader()
        self._connection: _Connection | None = None

    def begin(self, connection: "_Connection") -> None:
        """Read the answer from ``connection``."""
        self._connection = connection
        connection.exchange = self

    def end(self) -> None:
        """Take nothing more from the connection."""
        if self._connection is not None and self._connection.exchange is self:
            self._connection.exchange = None

    def feed(self, data: bytes) -> None:
        """Read more bytes of the head.

        Raises:
            NotHttpError: they are not HTTP/1.
        """
        self.head = self._reader.feed(data)


CURRENT: ContextVar[Exchange] = ContextVar("busbar_webhook_exchange")
"""The exchange of the running task; the connection that it is given reports to it."""


class _Connection(ResponseHandler):
    """A connection that notes the head of an answer before aiohttp parses anything."""

    exchange: Exchange | None = None
    _held: bytes = b""
    _used: bool = False

    def take(self, exchange: Exchange) -> None:
        """Answer ``exchange`` with what arrives from now on, or did before the first request."""
        exchange.begin(self)
        self._used = True

    def set_response_params(self, **options: Any) -> None:
        """Get ready for an answer; aiohttp calls it when it has begun to send the request."""
        super().set_response_params(**options)
        held, self._held = self._held, b""
        if held:
            self.data_received(held)

    def data_received(self, data: bytes) -> None:
        """Note the head; then let aiohttp parse what has arrived."""
        if self.exchange is None and self._used:
            self.close()  # there is no request: these bytes must not answer the next one
            return
        if self.exchange is None or self._parser is None:
            self._held += data
            return
        if self.exchange.head is not None:
            super().data_received(data)
            return
        self._held += data
        try:
            self.exchange.feed(data)
        except NotHttpError as error:
            self._refuse(NotHttpAnswerError(str(error)))
            return
        if self.exchange.head is not None:
            if self.exchange.head.misframed:
                self.force_close()
            held, self._held = self._held, b""
            super().data_received(held)

    def _refuse(self, error: NotHttpAnswerError) -> None:
        self.set_exception(error)
        if self.transport is not None:
            self.transport.close()


class NotingConnector(aiohttp.TCPConnector):
    """A connector whose connections note each answer's head in the task's :data:`CURRENT`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = lambda: _Connection(self._loop)  # type: ignore[assignment]  # see above

    async def connect(
        self,
        req: "ClientRequest",
        traces: list["Trace"],
        timeout: "ClientTimeout",  # noqa: ASYNC109 - aiohttp's signature
    ) -> "Connection":
        """Return a connection on which nothing is waiting to be read."""
        connection = await super().connect(req, traces, timeout)
        while connection.protocol is not None and connection.protocol.should_close:
            connection.close()
            connection = await super().connect(req, traces, timeout)
        if isinstance(connection.protocol, _Connection):
            connection.protocol.take(CURRENT.get())
        return connection
