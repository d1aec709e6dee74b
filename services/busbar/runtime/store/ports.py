"""The parts of a transaction that handlers and projections use."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

from busbar.messages.base import Message
from busbar.runtime.store.model.commit_result import Measure
from busbar.runtime.store.model.rows import Cause, Claim, Document

State = TypeVar("State")


class Tasks(Protocol):
    """Durable tasks, written with everything else in the transaction."""

    async def schedule(
        self, kind: str, name: str, *, due: datetime | None = None, data: Mapping[str, Any] = {}
    ) -> None:
        """Run the task at ``due`` (default: now); an existing task is moved there."""
        ...

    async def finish(self, claim: Claim, *, again: datetime | None = None) -> None:
        """Release ``claim``; the task runs again at ``again`` or when it is scheduled next."""
        ...

    async def remove(self, claim: Claim) -> None:
        """Finish ``claim`` and delete the task, its epoch included.

        Raises:
            Fenced: another process claimed the task under a higher epoch.
        """
        ...


class Documents(Protocol):
    """Projections: JSON documents by kind and key, listed by parent and rank."""

    async def get(self, kind: str, key: str) -> Mapping[str, Any] | None:
        """Return the document of ``kind`` under ``key``, locked if the transaction writes."""
        ...

    async def put(self, document: Document) -> None:
        """Save ``document``, replacing the one of the same kind and key."""
        ...

    async def remove(self, kind: str, key: str) -> None:
        """Delete the document of ``kind`` under ``key``."""
        ...

    async def find(
        self,
        kind: str,
        *,
        parent: str | None = None,
        prefix: str | None = None,
        after: str | None = None,
        limit: int = 100,
        newest_first: bool = False,
    ) -> Sequence[Document]:
        """Return documents of ``kind`` in the order of their rank.

        ``parent`` selects those under one parent, ``prefix`` those whose rank starts with it,
        ``after`` those that follow a rank in the requested order.
        """
        ...

    async def count(self, kind: str, *, limit: int) -> int:
        """Count the documents of ``kind``, up to ``limit``."""
        ...

    async def parents(self, kind: str, among: Collection[str]) -> set[str]:
        """Return those of ``among`` under which there is a document of ``kind``."""
        ...


class Transaction(Protocol):
    """One transaction of a handler: everything in it commits together, or nothing does."""

    now: datetime
    """Recorded time of everything that is written."""

    @property
    def tasks(self) -> Tasks:
        """The durable tasks of the service."""
        ...

    @property
    def documents(self) -> Documents:
        """The projections of the service."""
        ...

    @property
    def cause(self) -> Cause:
        """The message that is being handled."""
        ...

    def caused_by(self, cause: Cause | None, *, index: int = 0) -> None:
        """Set the cause of the following appends; their ids are numbered from ``index``."""
        ...

    async def fetch(self, streams: Collection[str]) -> None:
        """Read ``streams`` in one query, so that loading them does not query again."""
        ...

    async def load(
        self, stream: str, initial: State, evolve: Callable[[State, Any], State]
    ) -> State:
        """Return the state of ``stream``; a later append conflicts if another writer was first."""
        ...

    async def append(
        self,
        stream: str,
        messages: Iterable[Message],
        *,
        key: str | None = None,
        subject: str | None = None,
        topic: str | None = None,
    ) -> list[str]:
        """Append ``messages`` to ``stream``, to be published under ``key``; return their ids.

        Raises:
            Reject: one is too large for its topic, or nests too deeply.
        """
        ...

    async def append_raw(
        self,
        stream: str,
        *,
        id_: str,
        type_: str,
        data: str,
        metadata: Mapping[str, Any],
        topic: str | None = None,
        key: str | None = None,
    ) -> None:
        """Append an event that is not a message of this service, such as a foreign intent."""
        ...

    def measure(self, measure: Measure, value: float) -> None:
        """Call ``measure(value)`` after the commit; a rollback discards it."""
        ...
