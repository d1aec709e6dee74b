"""The demo's own clients: a Kafka producer, a webhook receiver, and a reader of topics.

They use nothing of busbar but the standards it follows: CloudEvents on the wire with a signature as
in docs/signing.md, and Standard Webhooks signatures, checked with the standard library.
"""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import RecordMetadata
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

TOPIC = "busbar.intents.resource"
TOLERANCE_SECONDS = 300


class PlainProducer:
    """A Kafka producer without any busbar code, which signs with the key in a PEM file."""

    def __init__(self, bootstrap: str, source: str, key: Path) -> None:
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
        self.source = source
        private = load_pem_private_key(key.read_bytes(), password=None)
        if not isinstance(private, Ed25519PrivateKey):
            raise TypeError(f"{key} is not an Ed25519 key")
        self._key = private

    async def start(self) -> None:
        """Connect."""
        await self._producer.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._producer.stop()

    async def send(
        self, id_: str, type_: str, data: Any, *, key: str, signed_data: Any = None
    ) -> RecordMetadata:
        """Send a CloudEvent in binary mode: attributes in headers, data in the value.

        A forger signs other data than are sent (``signed_data``).
        """
        attributes = {"specversion": "1.0", "id": id_, "source": self.source, "type": type_}
        headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
        headers.append(("content-type", b"application/json"))
        value = json.dumps(data).encode()
        signed = json.dumps(data if signed_data is None else signed_data).encode()
        headers.append(("ce_busbarsig", self._signature(headers, signed, key.encode()).encode()))
        return await self._producer.send_and_wait(TOPIC, value, key=key.encode(), headers=headers)

    def _signature(self, headers: list[tuple[str, bytes]], value: bytes, key: bytes) -> str:
        """Return the attribute that docs/signing.md defines."""
        public = self._key.public_key().public_bytes_raw()
        key_id = hashlib.sha256(public).hexdigest()[:32]
        named = {name.removeprefix("ce_"): text for name, text in headers}
        named["datacontenttype"] = named.pop("content-type")
        message = b"busbar-sig/1\n" + _field(key_id.encode()) + _field(TOPIC.encode())
        message += _field(key) + len(named).to_bytes(4, "big")
        for name in sorted(named):
            message += _field(name.encode()) + _field(named[name])
        message += _field(hashlib.sha256(value).digest())
        signed = base64.urlsafe_b64encode(self._key.sign(message)).rstrip(b"=").decode()
        return f"v1.{key_id}.{signed}"


def _field(value: bytes) -> bytes:
    return b"\x01" + len(value).to_bytes(4, "big") + value


class Receiver:
    """A webhook endpoint on a free loopback port that verifies signatures with ``secret``."""

    def __init__(self, secret: str) -> None:
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._runner: web.AppRunner | None = None
        self.url = ""
        self.received: dict[str, list[dict[str, Any]]] = {}
        """Verified events by their operation."""
        self.refused = 0
        """Requests whose signature did not verify."""

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_post("/hook", self._receive)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not self._is_signed(request.headers, body):
            self.refused += 1
            return web.Response(status=400)
        event = json.loads(body)
        operation = event["data"].get("operation", "")
        known = self.received.setdefault(operation, [])
        known.append({**event, "webhook_id": request.headers["webhook-id"]})
        return web.Response(status=204)

    def _is_signed(self, headers: Any, body: bytes) -> bool:
        id_, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "0")
        if not stamp.isdecimal() or abs(time.time() - int(stamp)) > TOLERANCE_SECONDS:
            return False
        mac = hmac.digest(self._key, f"{id_}.{stamp}.".encode() + body, hashlib.sha256)
        expected = "v1," + base64.b64encode(mac).decode()
        given = headers.get("webhook-signature", "").split()
        return any(hmac.compare_digest(expected, one) for one in given)


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """The settings of a topic, as the broker has them."""

    partitions: int
    retention_ms: int


class BrokerReader:
    """Reads brokers and topics with an admin client of its own."""

    def __init__(self, bootstrap: str) -> None:
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)

    async def start(self) -> None:
        """Connect."""
        await self._admin.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._admin.close()

    async def brokers(self) -> int:
        """Return the number of brokers."""
        return len((await self._admin.describe_cluster())["brokers"])

    async def topics(self, prefix: str) -> list[str]:
        """Return the names of the topics that start with ``prefix``, sorted."""
        return sorted(name for name in await self._admin.list_topics() if name.startswith(prefix))

    async def topic(self, name: str) -> TopicSettings:
        """Return the settings of one topic."""
        found = await self._admin.describe_topics([name])
        resource = ConfigResource(ConfigResourceType.TOPIC, name)
        answers = await self._admin.describe_configs([resource])
        settings = {entry[0]: entry[1] for answer in answers for entry in answer.resources[0][4]}
        return TopicSettings(len(found[0]["partitions"]), int(settings["retention.ms"]))
