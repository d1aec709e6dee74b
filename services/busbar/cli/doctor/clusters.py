"""The checks of the clusters that databases of teams are created in, and of their secrets."""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from busbar.cli.doctor.result import CheckResult
from busbar.kernel.errors import ConfigurationError
from busbar.policy.adapters import load_promises
from busbar.policy.domain.promise import Promise
from busbar.runtime.core.settings import Settings
from busbar.runtime.secrets import PREFIX, Secret, SecretKind, SecretStore, secrets_of
from busbar.runtime.store import StoreUnavailable

ADAPTER: Final = "postgres-database"
_REFERENCE: Final = re.compile(r"secret:[a-z0-9-]+")
_PAGE: Final = "docs/how-to/offer-postgres-databases.md"


def check_clusters(settings: Settings) -> Iterator[CheckResult]:
    """Check the clusters that promises need, and every other URL of the platform.

    Creates no secret store.
    """
    needed = _needed(settings)
    if not _has_secrets(settings):
        yield from (_missing(reference, names) for reference, names in needed.items())
        return
    try:
        yield from asyncio.run(_check_all(settings, needed))
    except (ConfigurationError, StoreUnavailable) as error:
        fix = error.fix if isinstance(error, ConfigurationError) else ""
        yield CheckResult(name="Secrets", ok=False, detail=str(error), fix=fix, needed=False)


def clusters_of(promises: Iterable[Promise]) -> dict[str, tuple[str, ...]]:
    """Return the secrets of the clusters that ``promises`` name, each with their names."""
    from busbar.backends.postgres.inputs import DEFAULT_CLUSTER  # noqa: PLC0415 - when used

    found: dict[str, list[str]] = {}
    for promise in promises:
        for version in promise.versions.values():
            for step in version.plan.steps:
                reference = step.inputs.get("cluster", DEFAULT_CLUSTER)
                if step.adapter != ADAPTER or not isinstance(reference, str):
                    continue
                names = found.setdefault(reference, [])
                if _REFERENCE.fullmatch(reference) and promise.name not in names:
                    names.append(promise.name)
    return {reference: tuple(names) for reference, names in found.items() if names}


def _needed(settings: Settings) -> Mapping[str, tuple[str, ...]]:
    try:
        promises = load_promises(settings.promise_folders())
    except ConfigurationError:
        return {}  # the check of files says so
    return clusters_of(promises.offered.values())


def _has_secrets(settings: Settings) -> bool:
    has_key = settings.data_key is not None or (settings.home / "data.key").exists()
    has_table = settings.database_url is not None or (settings.home / "secrets.db").exists()
    return has_key and has_table


async def _check_all(
    settings: Settings, needed: Mapping[str, tuple[str, ...]]
) -> list[CheckResult]:
    async with secrets_of(settings) as store:
        entries = await store.entries()
        others = [
            entry.reference
            for entry in entries
            if entry.kind is SecretKind.POSTGRES_URL
            and entry.team is None
            and entry.reference not in needed
        ]
        found = {reference: await _find(store, reference) for reference in (*needed, *others)}
    results = []
    for reference, secret in found.items():
        if secret is None:
            results.append(_missing(reference, needed[reference]))
        elif isinstance(secret, CheckResult):
            results.append(secret)
        elif secret.team is not None:
            results.append(_of_a_team(secret))
        else:
            results.append(await _check(secret))
    return results


async def _find(store: SecretStore, reference: str) -> Secret | CheckResult | None:
    try:
        return await store.find(reference)
    except ConfigurationError as error:  # it was sealed with another key, for instance
        return _result(reference, error.problem, error.fix)


def _missing(reference: str, promises: Iterable[str]) -> CheckResult:
    """Return a warning: the platform offers what it cannot make yet."""
    name = reference.removeprefix(PREFIX)
    return _result(
        reference,
        f"it is not stored, so an intent for {', '.join(promises)} waits and then fails",
        f"Store the URL of a cluster: busbar secrets put {name} ({_PAGE}).",
        needed=False,
    )


def _of_a_team(secret: Secret) -> CheckResult:
    name = secret.reference.removeprefix(PREFIX)
    return _result(
        secret.reference,
        f"it belongs to the team {secret.team}, not to the platform, so it is not used",
        f"Run: busbar secrets remove {name}; then store it without --team: busbar secrets put "
        f"{name}.",
    )


async def _check(secret: Secret) -> CheckResult:
    # The driver is loaded only if there is a cluster.
    from busbar.backends.postgres.check import cluster_problem  # noqa: PLC0415 - when used

    problem = await cluster_problem(secret.reference, secret.value)
    if problem is None:
        detail = "teams reach no databases but their own"
        return CheckResult(name=f"Cluster {secret.reference}", ok=True, detail=detail, needed=False)
    return _result(secret.reference, problem.detail, problem.fix, needed=not problem.works)


def _result(reference: str, detail: str, fix: str, *, needed: bool = True) -> CheckResult:
    return CheckResult(name=f"Cluster {reference}", ok=False, detail=detail, fix=fix, needed=needed)
