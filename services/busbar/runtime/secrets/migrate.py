"""Create and migrate the schema of secrets, as the role that owns it."""

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
    """Migrate the schema of secrets and grant ``role`` the use of it.

    Raises:
        StoreUnavailable: the database is unreachable.
    """
    return await migrate(owner_url, services=(SERVICE,), role=role, phase=phase, history=SECRETS)
