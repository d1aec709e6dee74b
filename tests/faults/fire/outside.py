"""The state seen from outside: topics, databases, the log, and how often each was made."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from busbar.backends.kafka_topic import mark as topic_mark
from busbar.backends.postgres.mark import read_mark
from busbar.messages import topics
from busbar.messages.envelope import Unreadable
from busbar.runtime.core import encoding
from busbar.runtime.kafka.reader import read_everything
from busbar.runtime.store.engines.postgres_checks import schema_of
from faults.fire import quorum
from faults.fire.recorded import recorded
from faults.fire.stage import OPERATOR, Stage

_MADE_DATABASE = re.compile(
    r"duration: .* (?:statement|execute \S+): CREATE DATABASE \"?(?P<name>\w+)"
)
"""Is logged when the statement has ended well; one that was interrupted has made nothing."""

SETTINGS = ("flush.messages", "retention.ms")


@dataclass(frozen=True, slots=True)
class Fact:
    """One event on a topic of facts, however often it was published."""

    id: tuple[str, str]
    type: str
    data: Mapping[str, Any]


async def facts(bootstrap: str) -> list[Fact]:
    """Every event of policy and resources, each once, in the order of its first publishing."""
    found: dict[tuple[str, str], Fact] = {}
    async for record in read_everything(bootstrap, [topics.FACTS_POLICY, topics.FACTS_RESOURCE]):
        event = encoding.read(record)
        if isinstance(event, Unreadable) or not isinstance(event.data, dict):
            continue
        identity = (event.source, event.id)
        found.setdefault(identity, Fact(identity, event.type, event.data))
    return list(found.values())


async def world(stage: Stage) -> dict[str, Any]:
    """Every thing that is there, by its name: what is to be seen of it."""
    return {**await _topics(stage.kafka.bootstrap), **await _databases(stage)}


async def _topics(bootstrap: str) -> dict[str, Any]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        names = [name for name in await admin.list_topics() if not _is_own(name)]
        if not names:
            return {}
        described = await admin.describe_topics(names)
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        settings = _settings(await admin.describe_configs(resources))
    finally:
        await admin.close()
    return {
        f"topic {one['topic']}": {
            "partitions": len(one["partitions"]),
            "retention_hours": int(settings[one["topic"]]["retention.ms"]) // 3_600_000,
            "mark": int(settings[one["topic"]]["flush.messages"]),
        }
        for one in described
    }


def _is_own(name: str) -> bool:
    return name in topics.ALL or name.startswith("__")


def _settings(answers: Iterable[Any]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for answer in answers:
        for _, _, _, name, entries in answer.resources:
            found[name] = {entry[0]: entry[1] for entry in entries if entry[0] in SETTINGS}
    return found


async def _databases(stage: Stage) -> dict[str, Any]:
    connection = await asyncpg.connect(stage.databases.url())
    try:
        rows = await connection.fetch(
            "SELECT d.datname, r.rolname, r.rolconnlimit, r.rolcanlogin,"
            " shobj_description(r.oid, 'pg_authid') AS said"
            " FROM pg_roles r FULL JOIN pg_database d ON d.datdba = r.oid"
            " WHERE r.rolname NOT LIKE 'pg\\_%' AND r.rolname NOT IN ($1, $2)",
            OPERATOR,
            "busbar_admin",
        )
    finally:
        await connection.close()
    found: dict[str, Any] = {}
    for row in rows:
        mark = read_mark(row["said"])
        found[f"database {row['datname'] or 'none of ' + row['rolname']}"] = {
            "limit": row["rolconnlimit"],
            "login": row["rolcanlogin"],
            "secret": mark.credentials.removeprefix("secret:") if mark else None,
        }
    async with stage.stored_secrets() as store:
        names = [entry.reference.removeprefix("secret:") for entry in await store.entries()]
    kept = {name for name in names if name.startswith("database-")}
    used = {seen["secret"] for seen in found.values()}
    found |= {f"secret {name}": {} for name in kept - used}
    for seen in found.values():
        seen["stored"] = seen.get("secret") in kept
    return found


def made(stage: Stage) -> Counter[str]:
    """Count how often each thing was made, by the logs of the two clusters."""
    topic_counts = quorum.topics_made(stage.kafka.records)
    counts = Counter({f"topic {name}": n for name, n in topic_counts.items() if not _is_own(name)})
    log = stage.databases.log.read_text(encoding="utf-8", errors="replace")
    return counts + databases_made(log)


def databases_made(log: str) -> Counter[str]:
    """Count how often each database was made, by PostgreSQL's log of the duration of statements."""
    found = map(_MADE_DATABASE.search, log.splitlines())
    return Counter(f"database {one['name']}" for one in found if one)


def expected(resource: str, spec: Mapping[str, Any], thing: str) -> dict[str, Any]:
    """Return what must be there for ``thing`` of ``resource``."""
    if thing.startswith("database "):
        secret = "database-" + "--".join(
            part for i, part in enumerate(resource.split("/")) if i != 2
        )
        return {"limit": spec["connection_limit"], "login": True, "secret": secret, "stored": True}
    is_second = thing.endswith("-dead-letters")
    step = "dead-letters" if is_second else "topic"
    return {
        "partitions": 1 if is_second else spec["partitions"],
        "retention_hours": 168 if is_second else spec["retention_hours"],
        "mark": topic_mark.mark_of(f"{resource}#{step}"),
    }


async def due_tasks(stage: Stage) -> list[tuple[str, str]]:
    """Return the open tasks of provisioner and notifier, from their tables."""
    found: list[tuple[str, str]] = []
    for service, kind in (("provisioner", "saga"), ("notifier", "webhook")):
        async with stage.store.session(stage.store.owner_url) as session:
            rows = await session.fetch(
                f"SELECT kind, name FROM {schema_of(service)}.tasks"  # noqa: S608 - our own names
                " WHERE kind = $1 AND (due IS NOT NULL OR holder IS NOT NULL)",
                kind,
            )
            found += [(row["kind"], row["name"]) for row in rows]
    return found


async def sessions(stage: Stage) -> list[dict[str, Any]]:
    """Every session of the store's cluster, and how far its readers may read."""
    async with stage.store.session(stage.store.server.url()) as session:
        rows = await session.fetch(
            "SELECT pid, usename, application_name, client_port, state, wait_event, backend_xid,"
            " now() - xact_start AS since, now() - state_change AS unchanged,"
            " pg_snapshot_xmin(pg_current_snapshot()) AS guard, left(query, 200) AS query"
            " FROM pg_stat_activity WHERE datname IS NOT NULL"
        )
    return [dict(row) for row in rows]


async def lag(bootstrap: str) -> dict[str, int]:
    """Return the number of unread records of each service."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        ends = await _ends(bootstrap)
        behind: dict[str, int] = {}
        for service in topics.SERVICES:
            reached = await admin.list_consumer_group_offsets(f"busbar.{service}")
            # A partition that was never read has no offset; who reads its topic has others of it.
            read = {tp.topic for tp in reached} - recorded().unread.get(service, frozenset())
            behind[service] = sum(
                end - max(reached[tp].offset if tp in reached else 0, 0)
                for tp, end in ends.items()
                if tp.topic in read
            )
    finally:
        await admin.close()
    return {service: count for service, count in behind.items() if count > 0}


async def _ends(bootstrap: str) -> dict[Any, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=None)
    await consumer.start()
    try:
        partitions = [
            TopicPartition(name, number)
            for name in topics.ALL
            for number in range(topics.PARTITIONS)
        ]
        found: dict[Any, int] = await consumer.end_offsets(partitions)
        return found
    finally:
        await consumer.stop()
