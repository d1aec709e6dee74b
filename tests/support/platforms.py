"""Whole platforms in tests: on SQLite as a developer has it, on PostgreSQL in several instances."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from busbar.cli.local import Database, Platform, Report
from busbar.cli.local.plan import ServicePlan, Wiring, plan_services
from busbar.cli.local.platform import ignore
from busbar.kernel.errors import BusbarError
from busbar.runtime.core.settings import load_settings
from support.postgres import running_postgres
from support.postgres_store import StoreCluster


def accepting_unsigned(wiring: Wiring) -> tuple[ServicePlan, ...]:
    """The services of a platform that takes intents of tests that are about something else."""
    more = {"BUSBAR_UNSIGNED_INTENTS": "accept"}
    return tuple(
        replace(one, environment={**one.environment, **more}) for one in plan_services(wiring)
    )


@contextmanager
def running(platform: Platform) -> Iterator[Platform]:
    """``platform``, ready, and stopped at the end."""
    try:
        platform.start()
        platform.wait_ready()
    except BusbarError as error:
        platform.stop()
        pytest.fail(f"the platform does not start: {error}", pytrace=False)
    try:
        yield platform
    finally:
        platform.stop()


@contextmanager
def store_cluster() -> Iterator[StoreCluster]:
    """A cluster for the services' state, with the two roles and no schemas yet."""
    with running_postgres(max_connections="100") as server:
        found = StoreCluster(server)
        asyncio.run(found.make_roles())
        yield found


def database_of(cluster: StoreCluster) -> Database:
    """The URLs of ``cluster`` for services and for migrations."""
    return Database(url=SecretStr(cluster.url), owner_url=SecretStr(cluster.owner_url))


@contextmanager
def on_postgres(home: Path, *, instances: int, report: Report = ignore) -> Iterator[Platform]:
    """A platform in ``instances`` instances on a cluster of its own."""
    bootstrap = load_settings().kafka_bootstrap_servers
    with store_cluster() as cluster:
        database = database_of(cluster)
        made = Platform(
            home,
            bootstrap=bootstrap,
            database=database,
            instances=instances,
            services=accepting_unsigned,
            report=report,
        )
        with running(made) as platform:
            yield platform
