"""Kafka brokers for `busbar up`, the demo and the tests; :func:`provide` picks one."""

from pathlib import Path

from busbar.cli.local.kafka import cluster
from busbar.cli.local.kafka import jars as jar_store
from busbar.cli.local.kafka.broker import Broker, ExternalBroker, Progress, quiet
from busbar.cli.local.kafka.docker import DockerKafka
from busbar.cli.local.kafka.probe import find_docker, find_java, find_maven
from busbar.cli.local.kafka.server import KafkaServer
from busbar.kernel.errors import ConfigurationError

__all__ = [
    "Broker",
    "DockerKafka",
    "ExternalBroker",
    "KafkaServer",
    "NoBroker",
    "Progress",
    "provide",
]

_INSTALL_HINT = (
    "Install Java and Maven (apt-get install openjdk-17-jre-headless maven), start a Docker"
    " engine, or name a broker: KAFKA_BOOTSTRAP_SERVERS=host:port."
)


class NoBroker(ConfigurationError):
    """No broker answers at the address that was given: it is down, or the address is wrong."""


def provide(
    home: Path,
    *,
    bootstrap: str | None = None,
    port: int = 0,
    data_dir: Path | None = None,
    retain: bool = True,
    java_home: Path | None = None,
    search_path: str | None = None,
    on_progress: Progress = quiet,
) -> Broker:
    """Return a broker that answers: ``bootstrap`` if given, else from jars, else in Docker.

    Files are kept in ``<home>/kafka``, records in ``data_dir`` (default ``<home>/kafka/data``).
    ``java_home`` is JAVA_HOME; ``search_path`` replaces the PATH. The caller stops the broker.

    Raises:
        NoBroker: ``bootstrap`` does not answer.
        ConfigurationError: there is nothing to run a broker with, or the broker did not start.
    """
    if bootstrap:
        check_reachable(bootstrap)
        return ExternalBroker(bootstrap)
    broker = _choose_broker(
        home,
        port=port,
        data_dir=data_dir or home / "kafka" / "data",
        retain=retain,
        java_home=java_home,
        search_path=search_path,
        on_progress=on_progress,
    )
    broker.start()
    return broker


def check_reachable(bootstrap: str) -> None:
    """Return if one of the comma-separated ``host:port`` answers as Kafka.

    Raises:
        NoBroker: none does; the error says why for each.
    """
    problems = []
    for address in filter(None, map(str.strip, bootstrap.split(","))):
        try:
            cluster.check(address)
        except (OSError, ValueError) as error:
            problems.append(f"{address} ({error})")
        else:
            return
    raise NoBroker(
        f"No Kafka broker answers at {', '.join(problems) or bootstrap!r}.",
        fix="Start it or correct KAFKA_BOOTSTRAP_SERVERS; unset it to let busbar start a broker.",
    )


def _choose_broker(
    home: Path,
    *,
    port: int,
    data_dir: Path,
    retain: bool,
    java_home: Path | None,
    search_path: str | None,
    on_progress: Progress,
) -> Broker:
    source = jar_store.locate(home)
    java = find_java(java_home=java_home, search_path=search_path)
    jars = jar_store.find(source)
    missing = [] if java.usable else [java]
    if java.usable and jars is None:
        maven = find_maven(search_path=search_path)
        if maven.path is not None:
            jars = jar_store.ensure(source, maven=maven.path, on_progress=on_progress)
        else:
            missing.append(maven)
    if java.usable and jars is not None:
        return KafkaServer(
            data_dir, jars=jars, java=java, port=port, retain=retain, on_progress=on_progress
        )
    docker = find_docker(search_path=search_path)
    if docker.usable:
        return DockerKafka(port=port, search_path=search_path, on_progress=on_progress)
    problems = "; ".join(f"{tool.name}: {tool.problem}" for tool in (*missing, docker))
    raise ConfigurationError(f"Kafka cannot run here. {problems}.", fix=_INSTALL_HINT)
