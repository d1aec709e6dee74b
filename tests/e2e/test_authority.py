"""A platform as it is started by default: every intent has a principal, or is denied."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from busbar.cli.local import Platform
from busbar.cli.local.home import prepare
from busbar.cli.local.principals import ensure_principals
from busbar.cli.shared.exits import ExitCode
from busbar.kernel.ids import operation_id, record_operation
from busbar.messages import topics
from busbar.messages.resource import ApplyResource
from busbar.messages.signing import SigningKey, verify
from busbar.messages.signing.signature import signature_of
from busbar.messages.views import OperationView
from busbar.runtime.core.settings import load_settings
from busbar.runtime.core.signing_key import key_path, load_signing_key
from busbar.sdk import Client, Completeness, GatewayProblem, sign_record
from e2e.conftest import client_of
from e2e.test_commands import busbar
from support import eventually
from support.platforms import running

SOURCE = "urn:team:payments"
CI, THEIRS = SigningKey.generate(), SigningKey.generate()
DECLARED = f"""
  - name: payments-ci
    kind: service-account
    teams: [payments]
    sources: ["{SOURCE}"]
    keys: ["{CI.public.text}"]
  - name: search-ci
    kind: service-account
    teams: [search]
    sources: ["urn:team:search"]
"""


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that accepts signed intents only."""
    home = tmp_path_factory.mktemp("signed")
    prepare(home)
    ensure_principals(home)
    file = home / "principals.yaml"
    file.write_text(file.read_text(encoding="utf-8") + DECLARED, encoding="utf-8")
    with running(Platform(home, bootstrap=load_settings().kafka_bootstrap_servers)) as found:
        yield found


@pytest.fixture
async def api(signed: Platform) -> AsyncIterator[Client]:
    async with client_of(signed) as found:
        yield found


class Kafka:
    """A producer of intents about streams of payments."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def send(
        self,
        id_: str,
        name: str,
        signer: SigningKey | None,
        *,
        source: str = SOURCE,
        more: Sequence[tuple[str, bytes]] = (),
    ) -> str:
        """Send an intent, and return the operation of its record."""
        named = {"team": "payments", "environment": "dev", "promise": "event-stream"}
        value = json.dumps({**named, "name": name, "spec": {}}).encode()
        key, topic = f"payments/dev/event-stream/{name}".encode(), topics.INTENTS_RESOURCE
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", id_.encode()),
            ("ce_source", source.encode()),
            ("ce_type", ApplyResource.TYPE.encode()),
            ("content-type", b"application/json"),
            *more,
        ]
        if signer is not None:
            signature = sign_record(
                signer, topic=topic, record_key=key, headers=headers, value=value
            )
            headers = [*headers, signature]
        sent = await self._producer.send_and_wait(topic, value, key, headers=headers)
        return str(record_operation(topic, sent.partition, sent.offset))


@pytest.fixture
async def kafka(signed: Platform) -> AsyncIterator[Kafka]:
    async with AIOKafkaProducer(bootstrap_servers=signed.bootstrap) as producer:
        yield Kafka(producer)


async def ended(api: Client, *operations: str) -> OperationView:
    """The first of ``operations`` that the gateway knows, once it has ended."""

    async def known() -> OperationView | None:
        for operation in operations:
            try:
                return await api.operation(operation)
            except GatewayProblem as problem:
                if problem.status != HTTPStatus.NOT_FOUND:
                    raise
        return None

    found = await eventually(known, within=60, what="an operation that is known")
    assert found is not None
    return await api.wait(found.id, timeout=60)


async def accepted(api: Client, kafka: Kafka, id_: str, signer: SigningKey) -> OperationView:
    """The operation of an intent that is sent until policy knows the key of its signature."""

    async def decided() -> OperationView | None:
        source = SOURCE if signer is not THEIRS else "urn:team:search"
        record = await kafka.send(id_, "keys", signer, source=source)
        found = await ended(api, record, str(operation_id(source, id_)))
        return None if found.reason == "unknown_key" else found

    found = await eventually(decided, within=60, what="a key that policy knows")
    assert found is not None
    return found


def caller_of(facts: list[Mapping[str, Any]]) -> Any:
    return next(data["caller"] for data in facts if data.get("caller"))


async def test_what_comes_over_http_is_the_administrators_and_signed_by_the_gateway(
    api: Client,
) -> None:
    receipt = await api.apply("payments/dev/event-stream/http", {})
    assert (await ended(api, receipt.operation)).status == "succeeded"
    facts = [one.data async for one in api.facts(operation=receipt.operation)]
    caller = caller_of(facts)
    assert (caller["principal"], caller["verified"]) == ("admin", "relayed")


async def test_every_fact_says_who_publishes_it_and_on_whose_behalf(
    signed: Platform, api: Client, kafka: Kafka
) -> None:
    await kafka.send("asked", "principals", CI)
    operation = str(operation_id(SOURCE, "asked"))
    assert (await ended(api, operation)).status == "succeeded"
    wanted = {one.id async for one in api.facts(operation=operation)}
    found: set[tuple[str, ...]] = set()
    names = ("authtype", "authid", "onbehalfof", "correlationid")
    consumer = AIOKafkaConsumer(
        topics.FACTS_POLICY,
        topics.FACTS_RESOURCE,
        bootstrap_servers=signed.bootstrap,
        auto_offset_reset="earliest",
    )
    async with consumer:
        while wanted:
            record = await asyncio.wait_for(consumer.getone(), 30)
            said = {name: (value or b"").decode() for name, value in record.headers}
            if said["ce_id"] in wanted:
                wanted.remove(said["ce_id"])
                assert said["ce_causationid"]
                found.add(tuple(said[f"ce_{name}"] for name in names))
    assert found == {
        ("service_account", service, "payments-ci", operation)
        for service in ("policy", "provisioner")
    }
    said_who = f"Asked by payments-ci, signed with key {CI.public.id[:8]}…."

    async def explained() -> bool:
        return any([one.text.endswith(said_who) async for one in api.why(operation)])

    await eventually(explained, within=60, what="an explanation that says who asked")


async def test_an_event_that_names_another_principal_is_denied(api: Client, kafka: Kafka) -> None:
    claims = [("ce_onbehalfof", b"admin")]
    record = await kafka.send("claimed", "kafka", CI, more=claims)
    found = await ended(api, record)
    assert (found.status, found.reason) == ("denied", "foreign_principal")
    (violation,) = found.violations
    assert violation["message"] == (
        "the attribute onbehalfof says 'admin', but payments-ci has signed the event"
    )


async def test_an_unsigned_intent_is_denied_and_takes_no_id_from_its_owner(
    api: Client, kafka: Kafka
) -> None:
    forged = await ended(api, await kafka.send("first", "kafka", None))
    assert (forged.status, forged.reason) == ("denied", "unsigned")
    await kafka.send("first", "kafka", CI)
    real = await ended(api, str(operation_id(SOURCE, "first")))
    assert real.status == "succeeded"


async def test_a_source_is_its_owners_alone(api: Client, kafka: Kafka) -> None:
    stranger = await kafka.send("mine", "kafka", CI, source="urn:team:search")
    assert (await ended(api, stranger)).reason == "foreign_source"
    platform = await kafka.send("ours", "kafka", CI, source="/busbar/policy")
    assert (await ended(api, platform)).reason == "foreign_source"


async def test_a_key_is_refused_before_it_is_registered_and_after_it_is_revoked(
    api: Client, kafka: Kafka
) -> None:
    key = SigningKey.generate()
    assert (await ended(api, await kafka.send("k1", "keys", key))).reason == "unknown_key"
    registered = await api.register_key("payments-ci", key.public.text)
    assert (await ended(api, registered.operation)).status == "succeeded"
    assert (await accepted(api, kafka, "k2", key)).status == "succeeded"
    revoked = await api.revoke_key(key.public.id, reason="the laptop was lost")
    assert (await ended(api, revoked.operation)).status == "succeeded"

    async def refused() -> bool:
        record = await kafka.send("k3", "keys", key)
        return (await ended(api, record, str(operation_id(SOURCE, "k3")))).reason == "revoked_key"

    await eventually(refused, within=60, what="a key that is refused")
    (shown,) = [one for one in (await api.principal("payments-ci")).keys if one.revoked]
    assert (shown.key, shown.reason) == (key.public.id, "the laptop was lost")
    again = await api.register_key("payments-ci", key.public.text, key="again")
    assert (await ended(api, again.operation)).reason == "key_taken"


async def test_a_principal_without_the_permission_is_denied_by_its_name(
    api: Client, kafka: Kafka
) -> None:
    registered = await api.register_key("search-ci", THEIRS.public.text)
    assert (await ended(api, registered.operation)).status == "succeeded"
    found = await accepted(api, kafka, "other-team", THEIRS)
    assert (found.status, found.reason) == ("denied", "forbidden")
    (violation,) = found.violations
    assert violation["message"] == (
        "search-ci lacks the permission resource:write for the team payments"
    )


INTENT = """
team: payments
environment: dev
promise: event-stream
name: published
spec: {}
"""


async def test_a_file_is_signed_and_written_to_kafka_and_one_changed_byte_is_denied(
    signed: Platform, api: Client, tmp_path: Path
) -> None:
    key, file = tmp_path / "ci.pem", tmp_path / "intent.yaml"
    key.write_text(CI.pem, encoding="ascii")
    key.chmod(0o600)
    file.write_text(INTENT, encoding="utf-8")
    options = ("-f", str(file), "--key", str(key), "--bootstrap-server", signed.bootstrap)
    code, out, errors = await busbar(
        "publish", *options, "--source", SOURCE, "--id", "published", "-o", "json"
    )
    assert code == 0, errors
    published = json.loads(out)
    assert published["operation"] == str(operation_id(SOURCE, "published"))
    found = await ended(api, published["operation"])
    assert found.status == "succeeded"
    topic, partition, offset = published["record"].split("/")
    there = TopicPartition(topic, int(partition))
    async with AIOKafkaConsumer(bootstrap_servers=signed.bootstrap) as consumer:
        consumer.assign([there])
        consumer.seek(there, int(offset))
        record = await asyncio.wait_for(consumer.getone(), 30)
    changed = (record.value or b"").replace(b"published", b"publishes")
    async with AIOKafkaProducer(bootstrap_servers=signed.bootstrap) as producer:
        sent = await producer.send_and_wait(
            topic, changed, record.key, headers=list(record.headers)
        )
    refused = await ended(api, str(record_operation(topic, sent.partition, sent.offset)))
    assert (refused.status, refused.reason) == ("denied", "forged")
    place = f"{topic}/{sent.partition}/{sent.offset}"
    code, out, errors = await busbar("--home", str(signed.home), "operation", place)
    assert code == ExitCode.DENIED, errors
    assert "forged" in out


async def test_the_audit_log_has_every_head_verified(api: Client) -> None:
    await api.apply("payments/dev/event-stream/heads", {})

    async def verified() -> Completeness | None:
        report = await api.completeness()
        signed_by = {one.relay for one in report.relays if one.heads == one.heads_verified > 0}
        return report if signed_by >= {"gateway", "policy", "provisioner", "identity"} else None

    report = await eventually(verified, within=60, what="heads that are verified")
    assert report is not None
    assert report.complete, report.problems


async def test_relays_sign_their_heads(signed: Platform) -> None:
    consumer = AIOKafkaConsumer(
        topics.FACTS_HEAD, bootstrap_servers=signed.bootstrap, auto_offset_reset="earliest"
    )
    async with consumer:
        record = await asyncio.wait_for(consumer.getone(), 30)
    relay = json.loads(record.value or b"{}")["relay"]
    key = load_signing_key(key_path(signed.home, relay))
    assert key is not None
    verify(
        key.public,
        signature_of(record.headers),
        topic=record.topic,
        record_key=record.key,
        headers=record.headers,
        value=record.value,
    )


def test_private_files_are_private(signed: Platform) -> None:
    keys: list[Path] = sorted((signed.home / "keys").iterdir())
    assert {path.stem for path in keys} >= {"admin", *topics.SERVICES}
    assert {path.stat().st_mode & 0o777 for path in (*keys, signed.home / "principals.yaml")} == {
        0o600
    }
