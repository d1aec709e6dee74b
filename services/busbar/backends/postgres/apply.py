"""The steps that create or update a database; each leaves a state from which a retry continues.

They are: role with mark, database of that role, access, extensions, password stored, password set.
So the marked role exists for as long as anything else does.
"""

import secrets
from typing import Final

from busbar.backends.calls import Refused
from busbar.backends.port import Call
from busbar.backends.postgres.credentials import Credentials
from busbar.backends.postgres.errors import sqlstate_of
from busbar.backends.postgres.inputs import DatabaseInputs, Target
from busbar.backends.postgres.mark import Mark, fingerprint_of, owner_digest
from busbar.backends.postgres.observe import (
    DatabaseState,
    installed_extensions,
    require_extensions,
)
from busbar.backends.postgres.preloads import reset_preloads
from busbar.backends.postgres.remove import drop_database, remove_database
from busbar.backends.postgres.scram import verifier
from busbar.backends.postgres.session import Session, Statement

_ALREADY_EXISTS: Final = frozenset({"42P04", "42710"})
_SALT_BYTES: Final = 16


class ApplyDatabase:
    """Creates or updates one database, in a session that holds its lock."""

    def __init__(
        self, session: Session, credentials: Credentials, call: Call, inputs: DatabaseInputs
    ) -> None:
        self._session = session
        self._credentials = credentials
        self._call = call
        self._inputs = inputs

    async def run(self, seen: DatabaseState) -> None:
        """Continue from ``seen``, which is absent or ours.

        Raises:
            Refused: PostgreSQL refused a step. If that is permanent, and nothing existed before,
                nothing is left.
        """
        inputs = self._inputs
        works = await self._login_works(seen)
        await self._restore_access(seen, works=works)
        installed = await self._installed(seen)
        wanted = frozenset(inputs.extensions)
        _refuse_extension_removal(seen, installed - wanted, inputs.database)
        await self._credentials.password()  # refuses a foreign secret before anything is created
        await require_extensions(self._session, wanted - installed)
        try:
            mark = await self._ensure_role(seen)
            await self._ensure_database(seen)
            await self._install_extensions(wanted - installed)
            await self._enable_login(seen, mark, works=works)
        except Refused as error:
            if seen.owner_role is None and error.permanent:
                await remove_database(self._session, self._credentials, self._call, inputs)
            raise

    async def _login_works(self, seen: DatabaseState) -> bool:
        if seen.mark is None or not seen.usable or seen.obstacles:
            return False
        return await self._credentials.work(self._session, seen.mark.fingerprint)

    async def _restore_access(self, seen: DatabaseState, *, works: bool) -> None:
        """Let the administrator act for the role, and both connect to the database."""
        database, role = self._inputs.database, self._inputs.role
        statements: list[Statement] = []
        if seen.mark is not None and not seen.member:
            statements.append(("GRANT %I TO CURRENT_USER", (role,)))
        if seen.usable and not seen.accepts_connections:
            statements.append(("ALTER DATABASE %I ALLOW_CONNECTIONS true", (database,)))
        if seen.usable and seen.database_limit >= 0:
            statements.append(("ALTER DATABASE %I CONNECTION LIMIT -1", (database,)))
        if seen.usable and not seen.owner_connects:
            statements.append(("GRANT ALL ON DATABASE %I TO %I", (database, role)))
        if seen.usable and not works:
            statements += await reset_preloads(self._session, role, database)
        if statements:
            await self._session.execute(*statements, doing=f"open the database {database}")

    async def _installed(self, seen: DatabaseState) -> frozenset[str]:
        relevant = self._inputs.extensions or _recorded_extensions(seen)
        if not seen.usable or not relevant:
            return frozenset()
        return await installed_extensions(self._session, self._inputs.database)

    async def _ensure_role(self, seen: DatabaseState) -> Mark:
        """Create the role, or update the epoch and the extensions in its mark."""
        inputs, call = self._inputs, self._call
        if seen.mark is not None:
            return await self._update_mark(seen.mark)
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

    async def _update_mark(self, mark: Mark) -> Mark:
        extensions = sorted(set(self._inputs.extensions))
        updated = mark.model_copy(update={"epoch": self._call.epoch, "extensions": extensions})
        if updated != mark:
            doing = f"mark the role {self._inputs.role}"
            await self._session.execute(_comment(self._inputs, updated), doing=doing)
        return updated

    async def _ensure_database(self, seen: DatabaseState) -> None:
        inputs, session = self._inputs, self._session
        name = inputs.database
        if seen.broken:
            await drop_database(session, seen, name)
        if not seen.usable:
            # template1 may be in use, and may contain anything.
            template = "CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING 'UTF8'"
            await self._create((template, (name, inputs.role)), doing=f"create the database {name}")
        if not seen.usable or seen.public:
            comment = (
                f"Created by busbar for {self._call.owner}; its owner role has the mark (ADR 11)."
            )
            await session.execute(
                ("REVOKE ALL ON DATABASE %I FROM PUBLIC", (name,)),
                ("COMMENT ON DATABASE %I IS %L", (name, comment)),
                doing=f"restrict access to the database {name}",
            )

    async def _install_extensions(self, missing: frozenset[str]) -> None:
        """Install as the owner, whose rights are enough for trusted extensions."""
        if not missing:
            return
        create = "CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA public"
        await self._session.execute(
            ("SET ROLE %I", (self._inputs.role,)),
            *((create, (extension,)) for extension in sorted(missing)),
            ("RESET ROLE", ()),
            doing=f"install {', '.join(sorted(missing))}",
            database=self._inputs.database,
        )

    async def _enable_login(self, seen: DatabaseState, mark: Mark, *, works: bool) -> None:
        """Store the password, then set it on the role and let the role log in.

        A password that is not known to work is set again: the owner can change it, and only a
        superuser could read it.
        """
        inputs = self._inputs
        if works and seen.connection_limit == inputs.connection_limit:
            return
        # A session that ended while this process was paused has lost its lock: another process may
        # have removed everything meanwhile, so that a password would stay behind.
        await self._session.fetch("SELECT 1")
        password = (await self._credentials.store()).get_secret_value()
        limit = str(inputs.connection_limit)
        validity = " VALID UNTIL 'infinity'" if seen.expires else ""
        login = f"ALTER ROLE %I LOGIN CONNECTION LIMIT %s{validity}"
        statements: list[Statement] = [(login, (inputs.role, limit))]
        updated = mark.model_copy(update={"fingerprint": fingerprint_of(password)})
        if not works:
            secret = verifier(password, salt=secrets.token_bytes(_SALT_BYTES))
            statements.append(("ALTER ROLE %I PASSWORD %L", (inputs.role, secret)))
            statements.append(_comment(inputs, updated))
        await self._session.execute(*statements, doing=f"let the role {inputs.role} log in")

    async def _create(self, *statements: Statement, doing: str) -> None:
        """Create what was absent. If it exists now it is foreign, since we hold the lock."""
        try:
            await self._session.execute(*statements, doing=doing)
        except Refused as error:
            if error.__cause__ is not None and sqlstate_of(error.__cause__) in _ALREADY_EXISTS:
                raise Refused(error.detail, reason="not_ours") from error
            raise


def _recorded_extensions(seen: DatabaseState) -> frozenset[str]:
    return frozenset(seen.mark.extensions) if seen.mark is not None else frozenset()


def _refuse_extension_removal(seen: DatabaseState, unwanted: frozenset[str], name: str) -> None:
    lost = sorted(unwanted & _recorded_extensions(seen))
    if lost:
        detail = (
            f"the database {name} has {', '.join(lost)}, and removing an extension could remove "
            "data: keep it in the inputs, or have its owner drop it first"
        )
        raise Refused(detail, reason="cannot_change")


def _comment(target: Target, mark: Mark) -> Statement:
    return ("COMMENT ON ROLE %I IS %L", (target.role, mark.text()))
