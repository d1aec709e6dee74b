"""The platform as it runs in production: on PostgreSQL, each service in two instances."""

from collections.abc import Iterator

import pytest

from busbar.cli.local import Platform
from support.platforms import on_postgres


@pytest.fixture(scope="package")
def messages() -> list[str]:
    """The messages of the platform's supervisor."""
    return []


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory, messages: list[str]) -> Iterator[Platform]:
    """One for the tests of this folder."""
    with on_postgres(tmp_path_factory.mktemp("home"), instances=2, report=messages.append) as found:
        yield found
