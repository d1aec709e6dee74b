"""The files that a single-node broker reads.

Settings: https://kafka.apache.org/documentation/#brokerconfigs
"""

from collections.abc import Mapping
from pathlib import Path

from busbar.cli.local.kafka.ports import LOOPBACK

_PRINTABLE = range(0x20, 0x7F)
_A_DECADE_IN_MINUTES = 10 * 365 * 24 * 60
# How topics and groups behave, wherever the broker runs.
_TOPIC_RULES = {
    # A topic exists because a promise or a service says so, never because of a typing mistake.
    "auto.create.topics.enable": "false",
    "delete.topic.enable": "true",
    # One node: nothing can be replicated.
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    # Every partition costs files and start time.
    "num.partitions": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "4",
    # Facts are the record of what happened: they go only where a topic says how long it keeps.
    "log.retention.ms": "-1",
    "log.retention.bytes": "-1",
    # A laptop that was closed for a month must go on where it stopped, not start over.
    "offsets.retention.minutes": str(_A_DECADE_IN_MINUTES),
    "message.max.bytes": "1048588",
    "group.initial.rebalance.delay.ms": "0",
}
_NODE = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    # After kill -9 the controller refuses the new broker until the old one's session has ended:
    # with the default of 9 s a restart takes 11 s, so it takes 4 s.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    # Small machine, small heap: the cleaner alone would take 128 MB.
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "4",
    "log.cleaner.threads": "1",
    "log.cleaner.dedupe.buffer.size": "16777216",
}


def topic_rules() -> dict[str, str]:
    """The settings that say how topics and groups behave."""
    return dict(_TOPIC_RULES)


def server_properties(
    *, port: int, controller_port: int, logs: Path, listeners: Mapping[int, int] = {}
) -> str:
    """The broker's settings: it listens on loopback only and keeps its records in ``logs``.

    ``listeners`` are further ports, each with the one that clients who come by it are sent to.
    """
    names = [f"MORE{number}" for number in range(len(listeners))]
    protocols = [_NODE["listener.security.protocol.map"], *(f"{name}:PLAINTEXT" for name in names)]
    listening = [f"{name}://{LOOPBACK}:{own}" for name, own in zip(names, listeners, strict=True)]
    told = zip(names, listeners.values(), strict=True)
    advertised = [f"{name}://{LOOPBACK}:{other}" for name, other in told]
    settings = {
        **_NODE,
        **_TOPIC_RULES,
        "listener.security.protocol.map": ",".join(protocols),
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "listeners": ",".join(
            (
                f"PLAINTEXT://{LOOPBACK}:{port}",
                f"CONTROLLER://{LOOPBACK}:{controller_port}",
                *listening,
            )
        ),
        "advertised.listeners": ",".join((f"PLAINTEXT://{LOOPBACK}:{port}", *advertised)),
        "log.dirs": str(logs),
    }
    return "".join(f"{name}={_escape(value)}\n" for name, value in settings.items())


def log4j2_properties() -> str:
    """At most 40 MB of logs in the file that the system property ``busbar.log`` names."""
    return """\
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = file
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = ${sys:busbar.log}
appender.file.filePattern = ${sys:busbar.log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.charset = UTF-8
appender.file.layout.pattern = %d{ISO8601_OFFSET_DATE_TIME_HHCMM} %p %m (%c)%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
"""


def _escape(value: str) -> str:
    """As java.util.Properties reads it: backslashes doubled, no character beyond ASCII."""
    units = value.replace("\\", "\\\\").encode("utf-16-be")
    pairs = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    return "".join(chr(unit) if unit in _PRINTABLE else f"\\u{unit:04x}" for unit in pairs)
