"""Making and changing the schema of secrets, as the role that owns it."""

from pathlib import Path
from typing import Final

from busbar.runtime.secrets import migrations
from busbar.runtime.secrets.open import SERVICE
from busbar.runtime.store.engines.migrate import History, migrate

SECRETS: Final = History(
    steps=Path(migrations.__file__).parent / "versions",
    revisions=migrations.REVISIONS,
    grants=migrations.GRANTS,
)


async def migrate_secrets(
    owner_url: str, *, role: str, phase: str = "pre"
) -> dict[str, str | None]:
    """Bring the schema of secrets up, and let ``role`` use it.

    Raises:
        StoreAwayError: the database does not answer.
    """
    return await migrate(owner_url, services=(SERVICE,), role=role, phase=phase, history=SECRETS)
