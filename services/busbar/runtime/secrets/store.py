"""Puts, finds and removes sealed secrets. Whoever writes has written durably on return."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, NoReturn, Self, TypeVar

from pydantic import SecretStr
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from busbar.kernel.clock import Clock, format_time
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.core.shielding import shield_until_done
from busbar.runtime.secrets.names import PREFIX, bytes_of, check_team, name_in, owner_name
from busbar.runtime.secrets.tables import secrets
from busbar.runtime.store import Collision, StoreUnavailable
from busbar.runtime.store.sql.upsert import upsert

BEGIN: Final = "busbar_begin"
"""The execution option that says how a transaction on SQLite begins."""
READING, WRITING = "BEGIN", "BEGIN IMMEDIATE"

Result = TypeVar("Result")
Opening = Callable[[], Awaitable[AsyncEngine]]

_AWAY = (
    *(OperationalError, InterfaceError, PoolTimeoutError, sqlite3.OperationalError),
    *(Collision, OSError),
)


@dataclass(frozen=True, slots=True)
class SecretEntry:
    """What may be told about a secret. ``team`` is None if it is the platform's own."""

    reference: str
    team: str | None
    key_id: str
    stored_time: str


@dataclass(frozen=True, slots=True)
class Secret(SecretEntry):
    """A secret and its value, which shows itself nowhere."""

    value: SecretStr = field(repr=False)


class SecretStore:
    """The secrets of one installation, sealed with its data key; several processes may use it.

    Every method raises :class:`StoreUnavailable` if the database does not answer, and
    :class:`ConfigurationError` for what people have to mend: a bad reference, another data key.
    """

    def __init__(self, opening: Opening, cipher: Cipher, clock: Clock) -> None:
        """Use :func:`secrets_of`; nothing is opened before it is used."""
        self._opening = opening
        self._cipher = cipher
        self._clock = clock
        self._engine: AsyncEngine | None = None
        self._turn = asyncio.Lock()
        self._begun: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def key_id(self) -> str:
        """The name of the data key that is in use."""
        return self._cipher.key_id

    async def open(self) -> None:
        """Open the database now, to know that it can be."""
        await self._opened_engine()

    async def get(self, reference: str) -> SecretStr | None:
        """The value under ``reference``, or None."""
        found = await self.find(reference)
        return None if found is None else found.value

    async def find(self, reference: str) -> Secret | None:
        """The secret under ``reference`` with its owner, or None."""
        wanted = select(secrets).where(secrets.c.name == name_in(reference))

        async def look(connection: AsyncConnection) -> Any:
            return (await connection.execute(wanted)).first()

        row = await self._run(look)
        if row is None:
            return None
        value = SecretStr(self._opened(row, self._cipher).decode())
        return Secret(reference, row.team, row.key_id, row.stored_time, value)

    async def entries(self) -> list[SecretEntry]:
        """What is there, by name. The data key does not have to fit."""
        wanted = select(secrets).order_by(secrets.c.name)

        async def look(connection: AsyncConnection) -> Sequence[Any]:
            return (await connection.execute(wanted)).all()

        return [
            SecretEntry(PREFIX + row.name, row.team, row.key_id, row.stored_time)
            for row in await self._run(look)
        ]

    async def put(self, reference: str, value: SecretStr, *, team: str | None = None) -> None:
        """Store ``value`` for ``team``, replacing what it had there; durable on return.

        Raises:
            ConfigurationError: it is somebody else's, or other secrets have another data key.
        """
        name, plain = name_in(reference), bytes_of(value)
        check_team(team)
        values = {
            "team": team,
            "key_id": self.key_id,
            "sealed": self._cipher.encrypt(plain, context=context_of(name, team)),
            "stored_time": format_time(self._clock.now()),
        }

        async def write(connection: AsyncConnection) -> None:
            await self._refuse_another_key(connection)
            statement = (
                upsert(connection, secrets)
                .values(name=name, **values)
                .on_conflict_do_update(
                    index_elements=[secrets.c.name],
                    set_=values,
                    where=secrets.c.team.is_not_distinct_from(team),
                )
                .returning(secrets.c.name)
            )
            if (await connection.execute(statement)).first() is None:
                found = select(secrets.c.team).where(secrets.c.name == name)
                _refuse_owner(reference, (await connection.execute(found)).scalar(), team)

        await self._run(write, begin=WRITING)

    async def remove(self, reference: str) -> bool:
        """Forget the secret under ``reference``; whether there was one."""
        gone = delete(secrets).where(secrets.c.name == name_in(reference))

        async def write(connection: AsyncConnection) -> bool:
            return (await connection.execute(gone.returning(secrets.c.name))).first() is not None

        return await self._run(write, begin=WRITING)

    async def rekey(self, old: Cipher) -> int:
        """Seal anew whatever ``old`` sealed; how many those were. All of them, or none.

        Raises:
            ConfigurationError: a secret was sealed with a third key, or was changed.
        """

        async def write(connection: AsyncConnection) -> int:
            rows = (await connection.execute(select(secrets).with_for_update())).all()
            others = [row for row in rows if row.key_id != self.key_id]
            for row in others:
                plain, context = self._opened(row, old), context_of(row.name, row.team)
                sealed = self._cipher.encrypt(plain, context=context)
                await connection.execute(
                    update(secrets)
                    .where(secrets.c.name == row.name)
                    .values(sealed=sealed, key_id=self.key_id)
                )
            return len(others)

        return await self._run(write, begin=WRITING)

    async def close(self) -> None:
        """Let what has begun come to its end, and close every connection."""
        await asyncio.gather(*self._begun, return_exceptions=True)
        if self._engine is not None:
            await self._engine.dispose()

    async def _run(
        self, body: Callable[[AsyncConnection], Awaitable[Result]], *, begin: str = READING
    ) -> Result:
        """Run ``body`` in one transaction, to its end even if the caller is cancelled.

        A driver that is interrupted between two statements would keep the lock of the file; and a
        caller that did not wait could be overtaken by what it does next.
        """
        task = asyncio.create_task(self._transact(body, begin))
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)
        return await shield_until_done(task)

    async def _transact(
        self, body: Callable[[AsyncConnection], Awaitable[Result]], begin: str
    ) -> Result:
        engine = (await self._opened_engine()).execution_options(**{BEGIN: begin})
        with _away_said():
            async with engine.begin() as connection:
                return await body(connection)

    async def _opened_engine(self) -> AsyncEngine:
        async with self._turn:
            if self._engine is None:
                with _away_said():
                    self._engine = await self._opening()
            return self._engine

    async def _refuse_another_key(self, connection: AsyncConnection) -> None:
        """One table, one key: else a machine with a key of its own would store what none reads."""
        another = select(secrets.c.key_id).where(secrets.c.key_id != self.key_id).limit(1)
        key_id = (await connection.execute(another)).scalar()
        if key_id is not None:
            raise ConfigurationError(
                f"The secrets here were sealed with another data key ({key_id}, this one is "
                f"{self.key_id}).",
                fix=_fix_key(key_id),
            )

    def _opened(self, row: Any, cipher: Cipher) -> bytes:
        if row.key_id != cipher.key_id:
            raise ConfigurationError(
                f"{PREFIX}{row.name} was sealed with another data key ({row.key_id}, this one is "
                f"{cipher.key_id}).",
                fix=_fix_key(row.key_id),
            )
        try:
            return cipher.decrypt(row.sealed, context=context_of(row.name, row.team))
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{PREFIX}{row.name} is not what was stored for {owner_name(row.team)} under this name:"
                " the table was changed from outside.",
                fix="Store it again, and find out who can write to the table.",
            ) from error


@contextmanager
def _away_said() -> Iterator[None]:
    """Say of every database in the same way that it is away."""
    try:
        yield
    except _AWAY as error:
        problem = type(error.orig if isinstance(error, DBAPIError) else error).__name__
        raise StoreUnavailable(f"the secret table is away ({problem})") from error


def context_of(name: str, team: str | None) -> str:
    """What a seal is bound to: moved to another name or team, the value does not open."""
    return f"{PREFIX}v1:{team or ''}:{name}"


def _fix_key(key_id: str) -> str:
    return (
        f"Set BUSBAR_DATA_KEY, or <home>/data.key, to the key {key_id}; or seal everything with "
        "this one: `busbar secrets rekey --old-key FILE`."
    )


def _refuse_owner(reference: str, owner: str | None, team: str | None) -> NoReturn:
    how = "without a team" if owner is None else f"as that team's (--team {owner})"
    raise ConfigurationError(
        f"{reference} belongs to {owner_name(owner)}, not to {owner_name(team)}.",
        fix=f"Choose another name, store it {how}, or remove it first.",
    )
