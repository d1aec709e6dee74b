"""The broker as an outsider sees it: what topics there really are."""

from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType


@dataclass(frozen=True, slots=True)
class TopicSeen:
    """A topic, read back."""

    partitions: int
    retention_ms: int


class World:
    """Reads from the broker with a client of its own."""

    def __init__(self, bootstrap: str) -> None:
        """Read from ``bootstrap``."""
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)

    async def start(self) -> None:
        """Connect."""
        await self._admin.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._admin.close()

    async def brokers(self) -> int:
        """How many brokers there are."""
        return len((await self._admin.describe_cluster())["brokers"])

    async def topics(self, prefix: str) -> list[str]:
        """The names of the topics that start with ``prefix``."""
        return sorted(name for name in await self._admin.list_topics() if name.startswith(prefix))

    async def topic(self, name: str) -> TopicSeen:
        """One topic as it is."""
        found = await self._admin.describe_topics([name])
        resource = ConfigResource(ConfigResourceType.TOPIC, name)
        answers = await self._admin.describe_configs([resource])
        settings = {entry[0]: entry[1] for answer in answers for entry in answer.resources[0][4]}
        return TopicSeen(len(found[0]["partitions"]), int(settings["retention.ms"]))
