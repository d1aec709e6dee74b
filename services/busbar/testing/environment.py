"""The surroundings of an adapter under test: secrets in this process, and no server."""

from pydantic import SecretStr

from busbar.backends.port import Environment
from busbar.runtime.secrets.names import refuse_other_owner


class MemorySecrets(dict[str, SecretStr]):
    """A secret store in this process: values by reference, ``secret:<name>``."""

    def __init__(self, values: dict[str, SecretStr] | None = None) -> None:
        super().__init__(values or {})
        self.teams: dict[str, str | None] = {}
        """The team of each secret that an adapter stored; None is the platform. A test may set
        that of others; without one, a secret is given to every owner that asks."""

    async def find(self, reference: str, team: str | None = None, /) -> SecretStr | None:
        """Return the value, or None.

        Raises:
            ConfigurationError: it belongs to another owner than ``team``; None is the platform.
        """
        if reference in self and self.teams.get(reference, team) != team:
            refuse_other_owner(reference, self.teams[reference], team)
        return self.get(reference)

    async def store(self, reference: str, value: SecretStr, team: str | None) -> None:
        """Store a value for a team, replacing the earlier one."""
        self[reference], self.teams[reference] = value, team

    async def remove(self, reference: str) -> None:
        """Remove a value; succeeds if it is already absent."""
        self.pop(reference, None)
        self.teams.pop(reference, None)


async def _find_none(_reference: str, _team: str | None = None, /) -> SecretStr | None:
    return None


def make_environment(
    secrets: MemorySecrets | None = None, *, kafka_bootstrap: str = ""
) -> Environment:
    """Return the environment for an adapter under test.

    Without ``secrets`` a lookup finds nothing, and storing raises ``ConfigurationError``.
    """
    if secrets is None:
        return Environment(kafka_bootstrap=kafka_bootstrap, secret=_find_none)
    return Environment(
        kafka_bootstrap=kafka_bootstrap,
        secret=secrets.find,
        store_secret=secrets.store,
        remove_secret=secrets.remove,
    )
