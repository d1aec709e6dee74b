"""The check of the clusters that databases of teams are created in."""

import asyncio
from collections.abc import Iterator

from busbar.cli.doctor.result import CheckResult
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.settings import Settings
from busbar.runtime.secrets import Secret, SecretKind, secrets_of
from busbar.runtime.store import StoreUnavailable


def check_clusters(settings: Settings) -> Iterator[CheckResult]:
    """Check the clusters whose URLs are secrets of the platform. Creates no secret store."""
    if not _has_secrets(settings):
        return
    try:
        yield from asyncio.run(_check_all(settings))
    except (ConfigurationError, StoreUnavailable) as error:
        fix = error.fix if isinstance(error, ConfigurationError) else ""
        yield CheckResult(name="Secrets", ok=False, detail=str(error), fix=fix, needed=False)


def _has_secrets(settings: Settings) -> bool:
    has_key = settings.data_key is not None or (settings.home / "data.key").exists()
    has_table = settings.database_url is not None or (settings.home / "secrets.db").exists()
    return has_key and has_table


async def _check_all(settings: Settings) -> list[CheckResult]:
    async with secrets_of(settings) as store:
        urls = [
            entry.reference
            for entry in await store.entries()
            if entry.kind is SecretKind.POSTGRES_URL and entry.team is None
        ]
        found = [await store.find(reference) for reference in urls]
    return [await _check(secret) for secret in found if secret is not None]


async def _check(secret: Secret) -> CheckResult:
    # The driver is loaded only if there is a cluster.
    from busbar.backends.postgres.check import cluster_problem  # noqa: PLC0415 - when used

    problem = await cluster_problem(secret.reference, secret.value)
    detail, fix = problem or ("teams reach no databases but their own", "")
    return CheckResult(
        name=f"Cluster {secret.reference}",
        ok=problem is None,
        detail=detail,
        fix=fix,
        needed=False,
    )
