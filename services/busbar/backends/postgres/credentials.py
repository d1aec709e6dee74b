"""The owner's connection URL in the secret store."""

import secrets
from typing import Final
from urllib.parse import quote

from pydantic import SecretStr

from busbar.backends.calls import Refused
from busbar.backends.port import UNAVAILABLE, Environment
from busbar.backends.postgres.mark import fingerprint_of
from busbar.backends.postgres.session import Cluster, Session
from busbar.kernel.errors import ConfigurationError
from busbar.kernel.postgres_url import parse_postgres_url

_RANDOM_BYTES: Final = 32


def new_password() -> str:
    """Return 256 random bits, in characters that need no escaping in a URL."""
    return secrets.token_urlsafe(_RANDOM_BYTES)


class Credentials:
    """The stored URL of the role of one database. Only this class handles its value."""

    def __init__(
        self,
        environment: Environment,
        cluster: Cluster,
        reference: str,
        *,
        role: str,
        database: str,
        team: str,
    ) -> None:
        """Store the URL of ``role`` for ``database`` under ``reference``, owned by ``team``."""
        self._environment = environment
        self._cluster = cluster
        self._role = role
        self._database = database
        self._team = team
        self.reference = reference

    def of(self, role: str) -> "Credentials":
        """Return those of ``role``, for the same database and under the same reference."""
        about = (self._environment, self._cluster, self.reference)
        return Credentials(*about, role=role, database=self._database, team=self._team)

    async def password(self) -> SecretStr | None:
        """Return the stored password, or None if nothing is stored.

        Raises:
            Refused: the secret belongs to something else, or cannot be read.
        """
        stored = await self._stored()
        if stored is None:
            return None
        password: str | None = None
        try:
            url = parse_postgres_url(stored.get_secret_value())
            if (url.user, url.database) == (self._role, self._database):
                password = url.password
        except ConfigurationError:
            password = None
        if not password:
            raise Refused(
                f"{self.reference} holds something else than the credentials of this database: "
                "give another reference, or remove what is stored there"
            )
        return SecretStr(password)

    async def match(self, fingerprint: str | None) -> bool:
        """Return True if the stored URL is current and its password has ``fingerprint``.

        Raises:
            Refused: as :meth:`password`.
        """
        password, stored = await self.password(), await self._stored()
        if password is None or stored is None:
            return False
        value = password.get_secret_value()
        return stored.get_secret_value() == self._url(value) and fingerprint == fingerprint_of(
            value
        )

    async def work(self, session: Session, fingerprint: str | None) -> bool:
        """Return True if they :meth:`match` and the role can log in with the password.

        Raises:
            Refused: as :meth:`password`.
            BackendUnavailable: the server does not answer.
        """
        if not await self.match(fingerprint):
            return False
        password = await self.password()
        return password is not None and await session.login_works(
            self._role, password, database=self._database
        )

    async def store(self) -> SecretStr:
        """Store the URL and return its password, which is the stored one if there is one.

        Raises:
            Refused: it cannot be stored.
        """
        password = await self.password() or SecretStr(new_password())
        url = SecretStr(self._url(password.get_secret_value()))
        stored = await self._stored()
        if stored is None or stored.get_secret_value() != url.get_secret_value():
            try:
                await self._environment.store_secret(self.reference, url, self._team)
            except ConfigurationError as error:
                raise Refused(str(error)) from error
            except OSError as error:
                raise self._failed("stored", error) from error
        return password

    async def remove(self) -> None:
        """Remove the secret, unless it belongs to something else.

        Raises:
            Refused: it cannot be removed.
        """
        try:
            if await self.password() is None:
                return
        except Refused:
            return  # not ours to remove
        try:
            await self._environment.remove_secret(self.reference)
        except ConfigurationError as error:
            raise Refused(str(error)) from error
        except OSError as error:
            raise self._failed("removed", error) from error

    async def _stored(self) -> SecretStr | None:
        return await read_secret(self._environment, self.reference, self._team)

    def _url(self, password: str) -> str:
        server = self._cluster.address
        host = f"[{server.host}]" if ":" in server.host else server.host
        options = f"?sslmode={server.sslmode}" if server.sslmode else ""
        return (
            f"postgresql://{self._role}:{quote(password, safe='')}@{host}:{server.port}"
            f"/{self._database}{options}"
        )

    def _failed(self, done: str, error: OSError) -> Refused:
        detail = f"{self.reference} could not be {done}: {error.strerror or type(error).__name__}"
        return Refused(detail, reason=UNAVAILABLE, permanent=False)


async def read_secret(
    environment: Environment, reference: str, team: str | None = None
) -> SecretStr | None:
    """Return the secret of ``team`` (None: the platform), or None if there is none.

    Raises:
        Refused: it belongs to another owner, or cannot be read.
    """
    try:
        return await environment.secret(reference, team)
    except ConfigurationError as error:
        raise Refused(str(error)) from error
    except OSError as error:
        detail = f"{reference} cannot be read: {error.strerror or type(error).__name__}"
        raise Refused(detail, reason=UNAVAILABLE, permanent=False) from error
