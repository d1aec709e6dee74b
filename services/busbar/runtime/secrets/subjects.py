"""The keys of personal data: one for each subject, which an erasure destroys.

Personal values are in events, which are never rewritten, only encrypted; without its key, a value
is unreadable wherever a copy of it is (crypto-shredding).
"""

import hashlib
import hmac
import secrets as random
import unicodedata
from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from busbar.kernel.clock import Clock, format_time
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.secrets.database import SecretDatabase, insert_into
from busbar.runtime.secrets.tables import subjects

KEY_BYTES: Final = 64
"""A key of AES-256-SIV."""

_INDEX: Final = "index"
"""The row of the key that pseudonyms are made with. It outlives the data key: with another one,
the data of a person could not be found again."""

_DIGITS: Final = 32


class SubjectKeys:
    """The keys of one installation, encrypted with its data key, for one or more processes.

    No key of a subject is cached, so that an erasure takes effect with the next use. Every method
    raises :class:`StoreUnavailable` if the database is unreachable, and
    :class:`ConfigurationError` if the keys were encrypted with another data key.
    """

    def __init__(self, database: SecretDatabase, cipher: Cipher, clock: Clock) -> None:
        """Use :func:`subject_keys_of` instead. The ``database`` is closed with the keys."""
        self._database = database
        self._cipher = cipher
        self._clock = clock
        self._index: bytes | None = None

    async def subject_of(self, text: str) -> str:
        """Return the pseudonym of the person whom ``text`` names.

        Case, white space around it and forms of Unicode make no difference.
        """
        if self._index is None:
            self._index = (await self.ensure([_INDEX]))[_INDEX]
        plain = unicodedata.normalize("NFKC", text.strip()).casefold()
        message = b"busbar:subject:v1\0" + plain.encode("utf-8", "surrogatepass")
        return hmac.new(self._index, message, hashlib.sha256).hexdigest()[:_DIGITS]

    async def find(self, wanted: Collection[str]) -> dict[str, bytes]:
        """Return the keys of those of ``wanted`` that have one."""

        async def read(connection: AsyncConnection) -> dict[str, bytes]:
            return {row.subject: self._opened(row) for row in await _rows(connection, wanted)}

        return await self._database.read(read) if wanted else {}

    async def ensure(
        self, wanted: Collection[str], *, at: datetime | None = None
    ) -> dict[str, bytes]:
        """Return a key for each of ``wanted``; new ones are durable on return.

        What was written (``at``) before the subject was erased gets a key that is not kept: a
        record that is read late must not bring back what was erased.
        """
        known = await self.find(wanted) if at is None else {}
        if known.keys() >= set(wanted):
            return known
        now = format_time(self._clock.now())
        since = format_time(at) if at is not None else now

        async def write(connection: AsyncConnection) -> dict[str, bytes]:
            for subject in sorted(set(wanted)):
                fresh = self._fresh(subject)
                new = insert_into(subjects, connection).values(
                    subject=subject, created_time=now, **fresh
                )
                await connection.execute(new.on_conflict_do_nothing())
                # An erased subject gets a new key with the first data after its erasure.
                again = update(subjects).where(
                    subjects.c.subject == subject,
                    subjects.c.sealed.is_(None),
                    subjects.c.erased_time < since,
                )
                await connection.execute(again.values(**fresh))
            rows = await _rows(connection, wanted)
            return {
                row.subject: self._opened(row)
                for row in rows
                if row.erased_time is None or row.erased_time < since
            }

        kept = await self._database.write(write)
        return {subject: kept.get(subject) or _random_key() for subject in wanted}

    async def erase(self, subject: str, *, operation: str) -> bool:
        """Destroy the key of ``subject``; return whether there was one, also when repeated.

        It is durable on return. On SQLite the files have no trace of the key then.
        """
        gone = {
            "sealed": None,
            "erased_time": format_time(self._clock.now()),
            "erased_by": operation,
        }
        deletion = (
            update(subjects)
            .where(subjects.c.subject == subject, subjects.c.sealed.is_not(None))
            .values(**gone)
            .returning(subjects.c.subject)
        )
        repeated = select(subjects.c.subject).where(
            subjects.c.subject == subject, subjects.c.erased_by == operation
        )

        async def write(connection: AsyncConnection) -> bool:
            # Asked first: a repetition must not destroy the key of data that came since.
            if (await connection.execute(repeated)).first() is not None:
                return True
            return (await connection.execute(deletion)).first() is not None

        existed = await self._database.write(write)
        # Also when repeated: the first time may have ended before this.
        await self._database.truncate_log()
        return existed

    async def close(self) -> None:
        """Wait for running transactions, then close every connection."""
        await self._database.close()

    def _fresh(self, subject: str) -> dict[str, Any]:
        sealed = self._cipher.encrypt(_random_key(), context=_context(subject))
        return {"key_id": self._cipher.key_id, "sealed": sealed}

    def _opened(self, row: Any) -> bytes:
        return _decrypt(row, self._cipher)


async def rekey_subjects(connection: AsyncConnection, *, old: Cipher, new: Cipher) -> int:
    """Re-encrypt every key of the ``old`` data key with the ``new`` one; return how many.

    Raises:
        ConfigurationError: a key was encrypted with a third data key, or was tampered with.
    """
    query = select(subjects).where(subjects.c.sealed.is_not(None)).with_for_update()
    rows = (await connection.execute(query)).all()
    others = [row for row in rows if row.key_id != new.key_id]
    for row in others:
        sealed = new.encrypt(_decrypt(row, old), context=_context(row.subject))
        await connection.execute(
            update(subjects)
            .where(subjects.c.subject == row.subject)
            .values(sealed=sealed, key_id=new.key_id)
        )
    return len(others)


def _decrypt(row: Any, cipher: Cipher) -> bytes:
    if row.key_id != cipher.key_id:
        raise ConfigurationError(
            f"The keys of personal data were sealed with another data key ({row.key_id}, this one "
            f"is {cipher.key_id}).",
            fix=f"Set BUSBAR_DATA_KEY, or <home>/data.key, to the key {row.key_id}; or re-encrypt "
            "everything with this one: `busbar secrets rekey --old-key FILE`.",
        )
    return cipher.decrypt(row.sealed, context=_context(row.subject))


async def _rows(connection: AsyncConnection, wanted: Collection[str]) -> Any:
    query = select(subjects).where(
        subjects.c.subject.in_(sorted(set(wanted))), subjects.c.sealed.is_not(None)
    )
    return (await connection.execute(query)).all()


def _random_key() -> bytes:
    return random.token_bytes(KEY_BYTES)


def _context(subject: str) -> str:
    return f"busbar:subject:v1:{subject}"
