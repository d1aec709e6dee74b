"""One real broker for the whole session, and topics of one's own on it."""

import gc
import logging
import os
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from hypothesis import HealthCheck, settings
from xdist.remote import Producer
from xdist.scheduler.loadscope import LoadScopeScheduling

from busbar.cli.local.kafka import ExternalBroker, provide
from busbar.kernel.errors import ConfigurationError
from support import MakeTopic, RunningKafka

pytest.register_assert_rewrite("busbar.testing.contract")

# A loaded machine is slow, not wrong; and a failure has to be repeatable.
settings.register_profile(
    "busbar",
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("busbar")


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Runs the tests of a file in one worker, and all of `tests/e2e` in one: they share a platform.

    The slow folders come first in the alphabet (``--no-loadscope-reorder``), so that the workers
    end at the same time.
    """

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "tests/e2e" if path.startswith("tests/e2e/") else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _ByFile:
    """Give pytest-xdist the scheduler of `make test`."""
    return _ByFile(config, log)


def pytest_collection_finish() -> None:
    """Keep the garbage collector from visiting every collected test again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    """Let no test's logging reach into the next one."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningKafka]:
    """A broker that answers, started when the first test wants it."""
    environment = os.environ  # noqa: TID251 - the tests' own settings, read in this one place
    java_home = environment.get("JAVA_HOME")
    try:
        server = provide(
            tmp_path_factory.mktemp("kafka"),
            bootstrap=environment.get("KAFKA_BOOTSTRAP_SERVERS"),
            retain=False,
            java_home=Path(java_home) if java_home else None,
        )
    except ConfigurationError as error:
        pytest.fail(f"These tests need a real Kafka. {error}", pytrace=False)
    try:
        yield RunningKafka(server.bootstrap, server)
    finally:
        server.stop()


@pytest.fixture
async def topic(kafka: RunningKafka, request: pytest.FixtureRequest) -> AsyncIterator[MakeTopic]:
    """Makes topics: ``await topic(partitions=3, config={"cleanup.policy": "compact"})``."""
    test = re.sub(r"[^a-zA-Z0-9_-]+", "-", request.node.name)[:80]
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap)
    await admin.start()
    made: list[str] = []

    async def make(
        *, partitions: int = 1, prefix: str = "", config: dict[str, str] | None = None
    ) -> str:
        # The broker may be given and outlive the session, so a counter is not enough.
        name = f"{prefix}{test}-{secrets.token_hex(4)}"
        response = await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=config)])
        problems = [error for error in response.topic_errors if error[1] != 0]
        assert not problems, f"topic {name} could not be created: {problems}"
        made.append(name)
        return name

    try:
        yield make
        if made and isinstance(kafka.server, ExternalBroker):
            await admin.delete_topics(made)
    finally:
        await admin.close()
