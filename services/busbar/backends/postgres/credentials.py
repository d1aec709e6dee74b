"""The owner's URL in the place for secrets: made, found again, compared, removed."""

import secrets
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from busbar.backends.port import UNAVAILABLE, Environment, Outcome
from busbar.backends.postgres.errors import Refused, refused
from busbar.backends.postgres.mark import fingerprint_of
from busbar.backends.postgres.session import Cluster
from busbar.kernel.errors import ConfigurationError

_RANDOM_BYTES: Final = 32


def new_password() -> str:
    """256 random bits, in characters that need no escaping in a URL."""
    return secrets.token_urlsafe(_RANDOM_BYTES)


class Credentials:
    """What is stored for the role of one database. Values stay in here."""

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
        """Keep the URL of ``role``, for ``database``, under ``reference``, as ``team``'s."""
        self._environment = environment
        self._cluster = cluster
        self._role = role
        self._database = database
        self._team = team
        self.reference = reference

    async def password(self) -> SecretStr | None:
        """The password that is stored for the role; None if nothing is stored.

        Raises:
            Refused: what is stored belongs to something else, or cannot be read.
        """
        stored = await self._stored()
        if stored is None:
            return None
        password: str | None = None
        try:
            parts = urlsplit(stored.get_secret_value())
            if (parts.username, parts.path) == (self._role, f"/{self._database}"):
                password = parts.password
        except ValueError:  # its words may quote the secret, so they are not handed on
            password = None
        if not password:
            raise refused(
                f"{self.reference} holds something else than the credentials of this database: "
                "give another reference, or remove what is stored there"
            )
        return SecretStr(password)

    async def are_stored(self, fingerprint: str | None) -> bool:
        """Whether the URL is stored as it has to be, with the password of ``fingerprint``.

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

    async def keep(self) -> SecretStr:
        """Store the URL, with the password that was stored before if there is one; return that.

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
                raise refused(str(error)) from error
            except OSError as error:
                raise self._failed("stored", error) from error
        return password

    async def forget(self) -> None:
        """Remove what is stored, unless it belongs to something else.

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
            raise refused(str(error)) from error
        except OSError as error:
            raise self._failed("removed", error) from error

    async def _stored(self) -> SecretStr | None:
        return await lookup(self._environment, self.reference)

    def _url(self, password: str) -> str:
        cluster = self._cluster
        host = f"[{cluster.host}]" if ":" in cluster.host else cluster.host
        options = f"?sslmode={cluster.sslmode}" if cluster.sslmode else ""
        return (
            f"postgresql://{self._role}:{password}@{host}:{cluster.port}/{self._database}{options}"
        )

    def _failed(self, done: str, error: OSError) -> Refused:
        detail = f"{self.reference} could not be {done}: {error.strerror or type(error).__name__}"
        return Refused(Outcome.not_done(UNAVAILABLE, detail, permanent=False))


async def lookup(environment: Environment, reference: str) -> SecretStr | None:
    """The secret under ``reference``, or None.

    Raises:
        Refused: it is there and cannot be read.
    """
    try:
        return await environment.secret(reference)
    except ConfigurationError as error:
        raise refused(str(error)) from error
    except OSError as error:
        detail = f"{reference} cannot be read: {error.strerror or type(error).__name__}"
        raise Refused(Outcome.not_done(UNAVAILABLE, detail, permanent=False)) from error
