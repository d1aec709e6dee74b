"""Store, find and remove encrypted secrets. A write is durable when it returns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.kernel.clock import Clock, format_time
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.secrets.database import SecretDatabase, insert_into
from busbar.runtime.secrets.kinds import (
    SecretKind,
    check_declared,
    check_owner,
    check_value,
    kind_of_name,
    kind_of_value,
)
from busbar.runtime.secrets.names import (
    PREFIX,
    bytes_of,
    check_team,
    name_in,
    owner_name,
    refuse_other_owner,
)
from busbar.runtime.secrets.subjects import rekey_subjects
from busbar.runtime.secrets.tables import secrets


@dataclass(frozen=True, slots=True)
class SecretEntry:
    """The public attributes of a secret. ``team`` is None if it belongs to the platform."""

    reference: str
    team: str | None
    kind: SecretKind
    key_id: str
    stored_time: str


@dataclass(frozen=True, slots=True)
class Secret(SecretEntry):
    """A secret with its value, which no text form of it shows."""

    value: SecretStr = field(repr=False)


class SecretStore:
    """The secrets of one installation, encrypted with its data key, for one or more processes.

    Every method raises :class:`StoreUnavailable` if the database is unreachable, and
    :class:`ConfigurationError` for what an operator has to fix: a bad reference, another data key.
    """

    def __init__(self, database: SecretDatabase, cipher: Cipher, clock: Clock) -> None:
        """Use :func:`secrets_of` instead. The ``database`` is closed with the store."""
        self._database = database
        self._cipher = cipher
        self._clock = clock

    async def __aenter__(self) -> Self:
        await self.connect()
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
        """The id of the data key in use."""
        return self._cipher.key_id

    async def connect(self) -> None:
        """Connect to the database now, to find out early if that fails."""
        await self._database.connect()

    async def get(self, reference: str) -> SecretStr | None:
        """Return the value under ``reference``, or None if there is none."""
        found = await self.find(reference)
        return None if found is None else found.value

    async def get_owned(self, reference: str, team: str | None = None, /) -> SecretStr | None:
        """Return the value under ``reference``, or None if there is none.

        Raises:
            ConfigurationError: it does not belong to ``team`` (None: the platform).
        """
        found = await self.find(reference)
        if found is None:
            return None
        if found.team != team:
            refuse_other_owner(reference, found.team, team)
        return found.value

    async def find(self, reference: str) -> Secret | None:
        """Return the secret under ``reference`` with its owner, or None if there is none."""
        wanted = select(secrets).where(secrets.c.name == name_in(reference))

        async def read(connection: AsyncConnection) -> Any:
            return (await connection.execute(wanted)).first()

        row = await self._database.read(read)
        if row is None:
            return None
        value = SecretStr(self._decrypt(row, self._cipher).decode())
        return Secret(reference, row.team, SecretKind(row.kind), row.key_id, row.stored_time, value)

    async def entries(self) -> list[SecretEntry]:
        """Return every secret by name, without values, whichever data key encrypted them."""
        wanted = select(secrets).order_by(secrets.c.name)

        async def read(connection: AsyncConnection) -> Sequence[Any]:
            return (await connection.execute(wanted)).all()

        return [
            SecretEntry(
                PREFIX + row.name, row.team, SecretKind(row.kind), row.key_id, row.stored_time
            )
            for row in await self._database.read(read)
        ]

    async def put(
        self,
        reference: str,
        value: SecretStr,
        *,
        team: str | None = None,
        kind: SecretKind | None = None,
        otherwise: SecretKind = SecretKind.TEXT,
    ) -> SecretKind:
        """Store ``value`` for ``team`` and ``kind``, replacing an earlier value; return its kind.

        It is durable on return. Without a ``kind``, that of the earlier value stays; a new secret
        is for what its name or its value show, or else for ``otherwise``.

        Raises:
            ConfigurationError: the value cannot be used as its kind, the name belongs to another
                owner, or other secrets were encrypted with another data key. Nothing was stored.
        """
        name, plain = name_in(reference), bytes_of(value)
        check_team(team)
        check_declared(reference, name, kind)
        check_owner(reference, name, team)
        declared = kind_of_name(name) or kind
        values = {
            "team": team,
            "key_id": self.key_id,
            "sealed": self._cipher.encrypt(plain, context=context_of(name, team)),
            "stored_time": format_time(self._clock.now()),
        }

        async def write(connection: AsyncConnection) -> SecretKind:
            await self._refuse_another_key(connection)
            chosen = declared or await _kind_of(connection, name, team)
            chosen = chosen or kind_of_value(value) or otherwise
            check_value(reference, value, chosen)
            row = {**values, "kind": chosen.value}
            statement = (
                insert_into(secrets, connection)
                .values(name=name, **row)
                .on_conflict_do_update(
                    index_elements=[secrets.c.name],
                    set_=row,
                    where=secrets.c.team.is_not_distinct_from(team),
                )
                .returning(secrets.c.name)
            )
            if (await connection.execute(statement)).first() is None:
                found = select(secrets.c.team).where(secrets.c.name == name)
                owner = (await connection.execute(found)).scalar()
                refuse_other_owner(reference, owner, team)
            return chosen

        return await self._database.write(write)

    async def remove(self, reference: str) -> bool:
        """Remove the secret under ``reference``; return whether there was one."""
        deletion = delete(secrets).where(secrets.c.name == name_in(reference))

        async def write(connection: AsyncConnection) -> bool:
            return (
                await connection.execute(deletion.returning(secrets.c.name))
            ).first() is not None

        return await self._database.write(write)

    async def rekey(self, old: Cipher) -> int:
        """Re-encrypt every secret of the ``old`` key in one transaction; return how many.

        The keys of personal data, which are beside them, are re-encrypted as well.

        Raises:
            ConfigurationError: a secret was encrypted with a third key, or was tampered with.
        """

        async def write(connection: AsyncConnection) -> int:
            rows = (await connection.execute(select(secrets).with_for_update())).all()
            others = [row for row in rows if row.key_id != self.key_id]
            for row in others:
                plain, context = self._decrypt(row, old), context_of(row.name, row.team)
                sealed = self._cipher.encrypt(plain, context=context)
                await connection.execute(
                    update(secrets)
                    .where(secrets.c.name == row.name)
                    .values(sealed=sealed, key_id=self.key_id)
                )
            await rekey_subjects(connection, old=old, new=self._cipher)
            return len(others)

        return await self._database.write(write)

    async def close(self) -> None:
        """Wait for running transactions, then close every connection."""
        await self._database.close()

    async def _refuse_another_key(self, connection: AsyncConnection) -> None:
        """Allow one data key per table: other machines could not read what this one stores."""
        another = select(secrets.c.key_id).where(secrets.c.key_id != self.key_id).limit(1)
        key_id = (await connection.execute(another)).scalar()
        if key_id is not None:
            raise ConfigurationError(
                f"The secrets here were sealed with another data key ({key_id}, this one is "
                f"{self.key_id}).",
                fix=_fix_key(key_id),
            )

    def _decrypt(self, row: Any, cipher: Cipher) -> bytes:
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
                f"{PREFIX}{row.name} is not what was stored for {owner_name(row.team)} under this "
                "name: the table was changed from outside.",
                fix="Store it again, and find out who can write to the table.",
            ) from error


def context_of(name: str, team: str | None) -> str:
    """Return the context that binds a value to its owner and name: it decrypts only there."""
    return f"{PREFIX}v1:{team or ''}:{name}"


async def _kind_of(connection: AsyncConnection, name: str, team: str | None) -> SecretKind | None:
    """Return the kind of the earlier value, or None if the team has none under this name."""
    found = select(secrets.c.kind).where(
        secrets.c.name == name, secrets.c.team.is_not_distinct_from(team)
    )
    kind = (await connection.execute(found)).scalar()
    return None if kind is None else SecretKind(kind)


def _fix_key(key_id: str) -> str:
    return (
        f"Set BUSBAR_DATA_KEY, or <home>/data.key, to the key {key_id}; or re-encrypt everything "
        "with this one: `busbar secrets rekey --old-key FILE`."
    )
