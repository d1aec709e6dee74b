"""The streams that a transaction reads, and their states."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.kernel.decide import Evolve, fold
from busbar.messages.base import Message
from busbar.messages.catalogue import BY_TYPE
from busbar.runtime.store.model.state_cache import CachedState, StateCache
from busbar.runtime.store.sql.statements import Statements, StreamRow


def message_of(type_: str, data: str) -> Message | None:
    """Return the stored message, or None if this release does not know its type."""
    model = BY_TYPE.get(type_)
    return model.model_validate_json(data) if model else None


class _Appended(NamedTuple):
    """An event that is appended, but not written yet."""

    id: str
    type: str
    data: str


@dataclass(slots=True)
class _Fetched:
    """The rows read from a stream, and the cached state from which reading began."""

    known: CachedState | None
    rows: list[StreamRow] = field(default_factory=list)


class Streams:
    """Reads each event of a stream once, and several streams per query if fetched beforehand."""

    def __init__(
        self, connection: AsyncConnection, statements: Statements, states: StateCache
    ) -> None:
        """Read on ``connection`` what follows the cached ``states``."""
        self._connection = connection
        self._statements = statements
        self._states = states
        self._fetched: dict[str, _Fetched] = {}
        self._loaded: dict[str, CachedState] = {}
        self._appended: dict[str, list[_Appended]] = {}

    async def fetch(self, streams: Collection[str]) -> None:
        """Read ``streams`` in one query, for :meth:`load` to use."""
        missing = sorted({stream for stream in streams if stream not in self._fetched})
        if not missing:
            return
        found = {stream: _Fetched(self._states.get(stream)) for stream in missing}
        since = {stream: one.known.version if one.known else 0 for stream, one in found.items()}
        for row in await self._statements.read_streams(self._connection, since):
            found[row.stream].rows.append(row)
        self._fetched |= found

    async def load(
        self, stream: str, initial: Any, evolve: Evolve[Any, Any]
    ) -> tuple[Any, int, int]:
        """Return the state of ``stream``, including events that are not written yet.

        Also returns version and transaction number of its newest stored event; 0 and 0 if none.
        """
        loaded = self._loaded.get(stream)
        # Events written since the last load are read again, even if they were fetched meanwhile.
        if loaded is None or loaded.tail or loaded.evolve is not evolve:
            loaded = self._loaded[stream] = await self._read(stream, initial, evolve)
        state = _with(loaded.state, evolve, self._appended.get(stream, ()))
        rows = self._fetched[stream].rows
        return state, loaded.version, rows[-1].number if rows else 0

    async def _read(self, stream: str, initial: Any, evolve: Evolve[Any, Any]) -> CachedState:
        await self.fetch([stream])
        empty, fetched = CachedState(evolve, 0, "", initial), self._fetched[stream]
        if fetched.known is None:
            return _fold(empty, fetched.rows)
        if _continues(fetched.known, fetched.rows, evolve):
            return _fold(fetched.known, fetched.rows[1:])
        whole = await self._statements.read_streams(self._connection, {stream: 0})
        self._fetched[stream] = _Fetched(None, whole)
        return _fold(empty, whole)

    def append(self, stream: str, *, id_: str, type_: str, data: str) -> None:
        """Include an event in the state of ``stream`` before it is written."""
        self._appended.setdefault(stream, []).append(_Appended(id_, type_, data))

    def mark_written(self, versions: Mapping[str, int]) -> None:
        """Mark the appended events as written, so that the next load reads them from the database.

        ``versions`` are the versions of the newest events by stream.
        """
        for stream, added in self._appended.items():
            self._fetched.pop(stream, None)
            loaded = self._loaded.get(stream)
            if loaded is not None:
                self._loaded[stream] = loaded._replace(
                    version=versions[stream],
                    id=added[-1].id,
                    tail=(*loaded.tail, *added),
                    largest=_largest(added, loaded.largest),
                )
        self._appended.clear()

    def roll_back(self) -> None:
        """Discard everything: some of the events that were read or appended were rolled back."""
        self._fetched.clear()
        self._loaded.clear()
        self._appended.clear()

    def keep_states(self) -> None:
        """Cache the states for later transactions; call it after the commit."""
        for stream, loaded in self._loaded.items():
            if loaded.version:
                self._states.put(stream, loaded)


def _with(state: Any, evolve: Evolve[Any, Any], events: Iterable[_Appended | StreamRow]) -> Any:
    """Fold ``events`` into ``state``, from their stored form: a replay gives the same result."""
    messages = (message_of(event.type, event.data) for event in events)
    return fold(evolve, state, (message for message in messages if message is not None))


def _largest(events: Iterable[_Appended | StreamRow], least: int) -> int:
    return max([least, *(len(event.data) for event in events)])


def _continues(known: CachedState, rows: Sequence[StreamRow], evolve: Evolve[Any, Any]) -> bool:
    """Return whether ``rows`` begin with the last event folded into ``known``."""
    if known.evolve is not evolve or not rows:
        return False
    return (rows[0].version, rows[0].id) == (known.version, known.id)


def _fold(before: CachedState, rows: Sequence[StreamRow]) -> CachedState:
    """Return ``before`` with its tail and the following ``rows`` folded in."""
    newest = rows[-1] if rows else before
    state = _with(_with(before.state, before.evolve, before.tail), before.evolve, rows)
    largest = _largest(rows, before.largest)
    return CachedState(before.evolve, newest.version, newest.id, state, largest=largest)
