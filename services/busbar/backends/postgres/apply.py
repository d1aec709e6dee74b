"""The steps of making and of taking down; each leaves a state from which the next call goes on.

Making: role with mark, database of that role, extensions, password stored, password set. Taking
down: database, stored password, role. So as long as anything is left, the marked role is, too.
"""

import secrets
from dataclasses import replace
from typing import Final

from busbar.backends.port import Call, Outcome, Presence
from busbar.backends.postgres.credentials import Credentials
from busbar.backends.postgres.errors import Refused, code_of
from busbar.backends.postgres.inputs import DatabaseInputs, Target
from busbar.backends.postgres.mark import Mark, fingerprint_of, owner_digest
from busbar.backends.postgres.observe import Seen, installed, look, own_role, require_available
from busbar.backends.postgres.scram import verifier
from busbar.backends.postgres.session import Change, Session

_ALREADY_THERE: Final = frozenset({"42P04", "42710"})
_SALT_BYTES: Final = 16


class Making:
    """Makes one database as asked for, within a session that holds its lock."""

    def __init__(
        self, session: Session, credentials: Credentials, call: Call, inputs: DatabaseInputs
    ) -> None:
        """Make what ``inputs`` say, for ``call``."""
        self._session = session
        self._credentials = credentials
        self._call = call
        self._inputs = inputs

    async def run(self, seen: Seen) -> None:
        """Go on from ``seen``, which is absent or ours.

        Raises:
            Refused: PostgreSQL said no; for good, and nothing was there: nothing is there now.
        """
        inputs = self._inputs
        has = await self._installed(seen)
        wanted = frozenset(inputs.extensions)
        _refuse_removal(seen, has - wanted, inputs.database)
        await self._credentials.password()  # refuses what is not ours before anything is made
        await require_available(self._session, wanted - has)
        try:
            mark = await self._role(seen)
            await self._database(seen)
            await self._extensions(wanted - has)
            await self._seal(seen, mark)
        except Refused as error:
            if seen.holder is None and error.outcome.permanent:
                await take_down(self._session, self._credentials, self._call, inputs)
            raise

    async def _installed(self, seen: Seen) -> frozenset[str]:
        if not seen.exists or seen.broken or not (self._inputs.extensions or _recorded(seen)):
            return frozenset()
        return await installed(self._session, self._inputs.database)

    async def _role(self, seen: Seen) -> Mark:
        """The role, with a mark that has this epoch and these extensions."""
        inputs, call = self._inputs, self._call
        if seen.mark is not None:
            return await self._remark(seen.mark)
        mark = Mark(
            owner=owner_digest(call.owner),
            database=inputs.database,
            epoch=call.epoch,
            credentials=self._credentials.reference,
            extensions=sorted(set(inputs.extensions)),
        )
        await self._create(
            ("CREATE ROLE %I NOLOGIN", (inputs.role,)),
            _comment(inputs, mark),
            ("GRANT %I TO CURRENT_USER", (inputs.role,)),
            doing=f"create the role {inputs.role}",
        )
        return mark

    async def _remark(self, mark: Mark) -> Mark:
        extensions = sorted(set(self._inputs.extensions))
        renewed = mark.model_copy(update={"epoch": self._call.epoch, "extensions": extensions})
        if renewed != mark:
            doing = f"mark the role {self._inputs.role}"
            await self._session.change(_comment(self._inputs, renewed), doing=doing)
        return renewed

    async def _database(self, seen: Seen) -> None:
        inputs, session = self._inputs, self._session
        name = inputs.database
        if seen.broken:
            await session.change(
                ("DROP DATABASE %I", (name,)), doing=f"drop what is left of {name}"
            )
        if not seen.exists or seen.broken:
            # template1 may be in use, and may hold anything.
            template = "CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING 'UTF8'"
            await self._create((template, (name, inputs.role)), doing=f"create the database {name}")
        if not seen.exists or seen.broken or seen.public:
            said = f"Made by busbar for {self._call.owner}; what marks it is its owner (ADR 11)."
            await session.change(
                ("REVOKE ALL ON DATABASE %I FROM PUBLIC", (name,)),
                ("COMMENT ON DATABASE %I IS %L", (name, said)),
                doing=f"keep others out of the database {name}",
            )

    async def _extensions(self, missing: frozenset[str]) -> None:
        """Install as the owner: all of them are trusted, and the owner's rights are enough."""
        if not missing:
            return
        create = "CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA public"
        await self._session.change(
            ("SET ROLE %I", (self._inputs.role,)),
            *((create, (extension,)) for extension in sorted(missing)),
            ("RESET ROLE", ()),
            doing=f"install {', '.join(sorted(missing))}",
            database=self._inputs.database,
        )

    async def _seal(self, seen: Seen, mark: Mark) -> None:
        """Store the password, then give it to the role, with the right to log in."""
        inputs = self._inputs
        stored = await self._credentials.are_stored(mark.fingerprint)
        if stored and seen.login and seen.connection_limit == inputs.connection_limit:
            return
        password = (await self._credentials.keep()).get_secret_value()
        limit = str(inputs.connection_limit)
        login: Change = ("ALTER ROLE %I LOGIN CONNECTION LIMIT %s", (inputs.role, limit))
        changes = [login]
        sealed = mark.model_copy(update={"fingerprint": fingerprint_of(password)})
        if sealed != mark:
            secret = verifier(password, salt=secrets.token_bytes(_SALT_BYTES))
            changes.append(("ALTER ROLE %I PASSWORD %L", (inputs.role, secret)))
            changes.append(_comment(inputs, sealed))
        await self._session.change(*changes, doing=f"let the role {inputs.role} log in")

    async def _create(self, *changes: Change, doing: str) -> None:
        """Make what was seen absent. Whoever made it meanwhile is not us: we hold the lock."""
        try:
            await self._session.change(*changes, doing=doing)
        except Refused as error:
            if error.__cause__ is not None and code_of(error.__cause__) in _ALREADY_THERE:
                outcome = replace(error.outcome, reason="not_ours", permanent=True)
                raise Refused(outcome) from error
            raise


async def take_down(session: Session, credentials: Credentials, call: Call, target: Target) -> None:
    """Remove the database, its stored password and its role, as far as they carry our mark."""
    seen = await look(session, target, owner=call.owner)
    name, role = target.database, seen.holder
    if seen.exists and seen.presence is Presence.OURS:
        drop = "DROP DATABASE %I" if seen.broken else "DROP DATABASE %I WITH (FORCE)"
        await session.change((drop, (name,)), doing=f"drop the database {name}")
    else:
        role = target.role
        if await own_role(session, target, owner=call.owner) is None:
            return
    await credentials.forget()
    await session.change(("DROP ROLE %I", (role or "",)), doing=f"drop the role {role}")


async def raise_epoch(session: Session, seen: Seen, epoch: int) -> None:
    """Write down that ``epoch`` acts, so that lower ones are refused from now on."""
    if seen.mark is not None and seen.holder is not None and seen.mark.epoch < epoch:
        text = seen.mark.model_copy(update={"epoch": epoch}).text()
        await session.change(
            ("COMMENT ON ROLE %I IS %L", (seen.holder, text)), doing=f"mark the role {seen.holder}"
        )


def _recorded(seen: Seen) -> frozenset[str]:
    return frozenset(seen.mark.extensions) if seen.mark is not None else frozenset()


def _refuse_removal(seen: Seen, unasked: frozenset[str], name: str) -> None:
    gone = sorted(unasked & _recorded(seen))
    if gone:
        detail = (
            f"the database {name} has {', '.join(gone)}, and removing an extension could remove "
            "data: keep asking for it, or have its owner drop it first"
        )
        raise Refused(Outcome.not_done("cannot_change", detail, permanent=True))


def _comment(target: Target, mark: Mark) -> Change:
    return ("COMMENT ON ROLE %I IS %L", (target.role, mark.text()))
