"""The configuration files of a single-node broker.

Settings: https://kafka.apache.org/documentation/#brokerconfigs
"""

from collections.abc import Mapping
from pathlib import Path

from busbar.cli.local.kafka.ports import LOOPBACK

_PRINTABLE = range(0x20, 0x7F)
_A_DECADE_IN_MINUTES = 10 * 365 * 24 * 60
# Settings of topics and groups, wherever the broker runs.
_TOPIC_RULES = {
    # Topics are created by promises and services only, never by a typing error.
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
    # Facts are kept permanently; only topics with a retention of their own expire.
    "log.retention.ms": "-1",
    "log.retention.bytes": "-1",
    # A laptop that was closed for a month must resume at its offsets, not start over.
    "offsets.retention.minutes": str(_A_DECADE_IN_MINUTES),
    "message.max.bytes": "1048588",
    "group.initial.rebalance.delay.ms": "0",
    # The fault harness pauses members past their sessions, hundreds of times.
    "group.min.session.timeout.ms": "1000",
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
    """Return the settings of topics and groups, which hold wherever the broker runs."""
    return dict(_TOPIC_RULES)


def server_properties(
    *, port: int, controller_port: int, logs: Path, listeners: Mapping[int, int] = {}
) -> str:
    """Return the broker's settings: it listens on loopback only and keeps records in ``logs``.

    ``listeners`` maps further ports to the ports that are advertised to their clients.
    """
    names = [f"MORE{number}" for number in range(len(listeners))]
    protocols = [_NODE["listener.security.protocol.map"], *(f"{name}:PLAINTEXT" for name in names)]
    listening = [f"{name}://{LOOPBACK}:{own}" for name, own in zip(names, listeners, strict=True)]
    advertised_ports = zip(names, listeners.values(), strict=True)
    advertised = [f"{name}://{LOOPBACK}:{other}" for name, other in advertised_ports]
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
    """Return a log configuration: at most 40 MB in the file that ``busbar.log`` names."""
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
    """Escape ``value`` for java.util.Properties: backslashes doubled, ASCII only."""
    units = value.replace("\\", "\\\\").encode("utf-16-be")
    pairs = (int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2))
    return "".join(chr(unit) if unit in _PRINTABLE else f"\\u{unit:04x}" for unit in pairs)
