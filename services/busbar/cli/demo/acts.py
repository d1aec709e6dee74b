"""The first five acts. Each shows one guarantee of busbar, and fails if it does not hold."""

import json
import os
import secrets
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer

from busbar.cli.demo.clients import BrokerReader, PlainProducer
from busbar.cli.demo.stage import ActFailed, Stage, require
from busbar.kernel.ids import operation_text, record_operation
from busbar.messages.http import AuditRecord
from busbar.messages.views import OperationView
from busbar.sdk import GatewayProblem

APPLY = "busbar.resource.apply.v1"
ENVIRONMENT = "dev"
PROMISE = "event-stream"
HOUR_MS = 3_600_000
MAX_KILL_ATTEMPTS = 6


@dataclass
class Scene:
    """The clients and names that all acts share."""

    stage: Stage
    producer: PlainProducer
    broker: BrokerReader
    home: Path
    bootstrap: str
    url: str
    team: str
    operations: list[str] = field(default_factory=list)

    def name(self, what: str) -> str:
        """Return a name that has not been used before."""
        return f"{what}-{secrets.token_hex(3)}"

    def intent(self, name: str, spec: dict[str, Any]) -> dict[str, Any]:
        """Return the data of an intent for an event stream of the demo's team."""
        about = {"team": self.team, "environment": ENVIRONMENT, "promise": PROMISE}
        return {**about, "name": name, "spec": spec}

    def resource(self, name: str) -> str:
        """Return the id of a resource, which is its Kafka key."""
        return f"{self.team}/{ENVIRONMENT}/{PROMISE}/{name}"

    def topic(self, name: str) -> str:
        """Return the topic that the promise creates for ``name``."""
        return f"{self.team}.{ENVIRONMENT}.{name}"

    async def send(
        self, name: str, spec: dict[str, Any], *, is_forged: bool = False, id_: str | None = None
    ) -> tuple[str, float]:
        """Publish an intent; return its operation and the monotonic time before it was sent."""
        id_ = id_ or f"{name}-1"
        since = time.monotonic()
        place = await self.producer.send(
            id_,
            APPLY,
            self.intent(name, spec),
            key=self.resource(name),
            signed_data=self.intent(name, {}) if is_forged else None,
        )
        self.stage.report(
            "published",
            f"{'forged' if is_forged else 'signed'} CloudEvent {id_} from a plain Kafka producer"
            f"  ({place.topic}[{place.partition}]@{place.offset})",
            since=since,
        )
        if is_forged:
            return str(record_operation(place.topic, place.partition, place.offset)), since
        operation = operation_text(self.producer.source, id_)
        self.operations.append(operation)
        return operation, since


async def act_1(scene: Scene) -> None:
    """Provision a topic, and read it back from the broker."""
    partitions, hours = 2 + secrets.randbelow(7), 24 + secrets.randbelow(100)
    name = scene.name("orders")
    scene.stage.title(
        1, f"success: a topic with {partitions} partitions that keeps records for {hours} hours"
    )
    spec = {"partitions": partitions, "retention_hours": hours}
    operation, since = await scene.send(name, spec)
    await scene.stage.follow(operation, since=since)
    seen = await scene.broker.topic(scene.topic(name))
    require(seen.partitions == partitions, f"the broker has {seen.partitions} partitions")
    require(seen.retention_ms == hours * HOUR_MS, f"the broker keeps {seen.retention_ms} ms")
    scene.stage.passed(
        f"read back from the broker: {scene.topic(name)} has {seen.partitions} partitions, "
        f"retention.ms={seen.retention_ms}"
    )


async def act_2(scene: Scene) -> None:
    """Request more than a rule allows, or with a forged signature, and be denied."""
    name = scene.name("hoard")
    scene.stage.title(2, "denial: the rule that was violated, and an intent that is forged")
    await _forged(scene, name)
    operation, since = await scene.send(name, {"retention_hours": 8000})
    records = await scene.stage.follow(operation, since=since)
    denied = _only_fact(records, "busbar.policy.denied.v1")
    for violation in denied["violations"]:
        scene.stage.report("rule", f"{violation['rule']}: {violation['message']}")
        scene.stage.report("fix", violation["fix"])
    require(denied["violations"], "the denial names no rule")
    require(not await scene.broker.topics(scene.topic(name)), "a topic was created anyway")
    scene.stage.passed("nothing was created")


async def _forged(scene: Scene, name: str) -> None:
    """Send the id of the next intent with a forged signature, which does not take the id."""
    operation, since = await scene.send(name, {"partitions": 9}, is_forged=True)

    async def denied() -> OperationView | None:
        try:
            view = await scene.stage.client.operation(operation)
        except GatewayProblem:
            return None  # the gateway has not received the denial
        return view if view.ended else None

    view = await scene.stage.until("the denial", denied)
    require(view.reason == "forged", "a forged intent was accepted")
    scene.stage.report("denied", view.violations[0]["message"], since=since)


async def act_3(scene: Scene) -> None:
    """Fail at the second step, and have the first one undone."""
    brokers = await scene.broker.brokers()
    name = scene.name("ledger")
    replicas = brokers + 1
    scene.stage.title(
        3, f"failure halfway: a dead-letter topic with {replicas} replicas on {brokers} broker(s)"
    )
    spec = {"partitions": 2, "dead_letters": {"enabled": True, "replicas": replicas}}
    operation, since = await scene.send(name, spec)
    records = await scene.stage.follow(operation, since=since)
    made = [fact["step"] for fact in _facts_of(records, "busbar.resource.step-succeeded.v1")]
    require(made == ["topic"], f"expected the first step to succeed, not: {made}")
    failed = _only_fact(records, "busbar.resource.failed.v1")
    require(
        failed["undone"] == ["topic"],
        f"expected the first step to be undone, not: {failed['undone']}",
    )
    left = await scene.broker.topics(scene.topic(name))
    require(not left, f"left behind: {left}")
    scene.stage.passed(
        "the broker refused the second topic, so the first was removed: nothing is left"
    )


async def act_4(scene: Scene) -> None:
    """Send an intent twice, and have it take effect once."""
    name = scene.name("twice")
    scene.stage.title(4, "duplicate: an intent that is sent twice takes effect once")
    operation, since = await scene.send(name, {"partitions": 3}, id_=f"{name}-1")
    await scene.send(name, {"partitions": 3}, id_=f"{name}-1")

    async def both() -> list[AuditRecord] | None:
        page = await scene.stage.client.audit_page(operation=operation)
        kinds = [record.type for record in page.items]
        done = kinds.count(APPLY) == 2 and "busbar.resource.provisioned.v1" in kinds  # noqa: PLR2004 - sent twice
        return list(page.items) if done else None

    await scene.stage.follow(operation, since=since)
    records = await scene.stage.until("both records in the audit log", both)
    for once in ("busbar.policy.allowed.v1", "busbar.resource.provisioned.v1"):
        _only_fact(records, once)
    scene.stage.passed("two records of the intent, one decision, one effect, one result")


async def act_5(scene: Scene) -> None:
    """Kill the provisioner during a saga, and have another process finish it."""
    scene.stage.title(5, "crash: the provisioner is killed (kill -9) during a saga")
    for attempt in range(1, MAX_KILL_ATTEMPTS + 1):
        name = scene.name("survivor")
        records = await _kill_during_saga(scene, name)
        if records is not None:
            await _check_survivor(scene, name, records)
            return
        scene.stage.report(
            "missed", f"it finished before the kill (attempt {attempt}); trying again"
        )
    raise ActFailed(f"the provisioner finished before the kill {MAX_KILL_ATTEMPTS} times")


async def _kill_during_saga(scene: Scene, name: str) -> list[AuditRecord] | None:
    """Kill the provisioner at the first step of ``name``; return None if that was too late."""
    pid = await scene.stage.until("the provisioner", lambda: _provisioner(scene.home))
    consumer = AIOKafkaConsumer(
        "busbar.facts.resource", bootstrap_servers=scene.bootstrap, auto_offset_reset="latest"
    )
    await consumer.start()
    try:
        await consumer.seek_to_end()
        for partition in consumer.assignment():
            await consumer.position(partition)
        spec = {"partitions": 4, "dead_letters": {"enabled": True}}
        operation, since = await scene.send(name, spec)
        async for record in consumer:
            data = json.loads(record.value or b"{}")
            started = dict(record.headers).get("ce_type") == b"busbar.resource.step-started.v1"
            if started and data.get("operation") == operation:
                os.kill(pid, signal.SIGKILL)
                break
    finally:
        await consumer.stop()
    scene.stage.report("kill -9", f"provisioner, process {pid}", since=since)
    records = await scene.stage.follow(operation, since=since)
    epochs = {r.data["epoch"] for r in records if r.type and ".step-" in r.type}
    return records if len(epochs) > 1 else None


async def _check_survivor(scene: Scene, name: str, records: list[AuditRecord]) -> None:
    _only_fact(records, "busbar.resource.provisioned.v1")
    topics = await scene.broker.topics(scene.topic(name))
    expected = [scene.topic(name), f"{scene.topic(name)}-dead-letters"]
    require(topics == expected, f"the broker has {topics}")
    made = _facts_of(records, "busbar.resource.step-succeeded.v1")
    require(len(made) == len(expected), f"{len(made)} steps succeeded, not {len(expected)}")
    scene.stage.passed("another process resumed under a higher epoch: one result, nothing leaked")


async def _provisioner(home: Path) -> int | None:
    """Return the process id of a provisioner that is alive and has registered."""
    try:
        pid = int(json.loads((home / "run" / "provisioner.json").read_text())["pid"])
        os.kill(pid, 0)
    except (OSError, ValueError, KeyError):
        return None
    return pid


def _facts_of(records: list[AuditRecord], type_: str) -> list[dict[str, Any]]:
    """Return the facts of a type; one that was published again after a kill counts once."""
    return list({record.id: record.data for record in records if record.type == type_}.values())


def _only_fact(records: list[AuditRecord], type_: str) -> dict[str, Any]:
    found = _facts_of(records, type_)
    require(len(found) == 1, f"{type_} happened {len(found)} times")
    return found[0]
