"""A broker in a Docker container, for machines that have an engine but no Java or Maven.

It needs testcontainers, a development dependency. Its records live as long as the container:
for lasting data use Java, or a broker of your own.
"""

import importlib
import time
from collections.abc import Callable
from typing import Any

from busbar.cli.local.kafka import config
from busbar.cli.local.kafka.broker import Progress, quiet
from busbar.cli.local.kafka.probe import INSTALL_JAVA, INSTALL_MAVEN, find_docker
from busbar.kernel.errors import BusbarError, ConfigurationError

_START_TIMEOUT_SECONDS = 180
_WITHOUT_DOCKER = f"Or do without Docker. {INSTALL_JAVA} {INSTALL_MAVEN}"


class DockerKafka:
    """A broker in a container; ``port`` 0 picks a free one, ``image`` None the default image."""

    def __init__(
        self,
        *,
        port: int = 0,
        image: str | None = None,
        search_path: str | None = None,
        on_progress: Progress = quiet,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._port = port
        self._image = image
        self._search_path = search_path
        self._on_progress = on_progress
        self._monotonic = monotonic
        self._container: Any = None

    @property
    def bootstrap(self) -> str:
        """``host:port``, as the engine published it.

        Raises:
            BusbarError: the broker was not started.
        """
        if self._container is None:
            raise BusbarError("The broker has no port yet: start it first.")
        return str(self._container.get_bootstrap_server())

    @property
    def pid(self) -> int | None:
        """None: the broker is a process of the engine."""
        return None

    def start(self) -> None:
        """Start the container and return when the broker answers.

        Raises:
            ConfigurationError: testcontainers or a running engine is missing, or the container did
                not start.
        """
        if self._container is not None:
            return
        engine = find_docker(search_path=self._search_path)
        if not engine.usable:
            raise ConfigurationError(
                f"Kafka cannot run in Docker: {engine.problem}.",
                fix=f"{engine.fix} {_WITHOUT_DOCKER}",
            )
        container = self._build(_import_testcontainers())
        started = self._monotonic()
        self._on_progress("starting Kafka in Docker (the first start fetches the image)", 0.0)
        try:
            container.start(timeout=_START_TIMEOUT_SECONDS)
        except Exception as error:
            container.stop()
            raise ConfigurationError(
                f"Kafka did not start in Docker: {error}.",
                fix=f"Look at `docker ps -a`. {_WITHOUT_DOCKER}",
            ) from error
        self._container = container
        self._on_progress(f"Kafka answers on {self.bootstrap}", self._monotonic() - started)

    def stop(self) -> None:
        """Remove the container, and its records with it."""
        if self._container is not None:
            self._container.stop()
            self._container = None

    def _build(self, module: Any) -> Any:
        container = module.KafkaContainer(self._image) if self._image else module.KafkaContainer()
        container.with_kraft()
        for name, value in config.topic_rules().items():
            container.with_env(f"KAFKA_{name.upper().replace('.', '_')}", value)
        if self._port:
            container.with_bind_ports(container.port, self._port)
        return container


def _import_testcontainers() -> Any:
    """Return the Kafka module of testcontainers, which may not be installed."""
    try:
        return importlib.import_module("testcontainers.community.kafka")
    except ImportError as error:
        raise ConfigurationError(
            "Kafka cannot run in Docker: the Python package testcontainers is not installed.",
            fix=f"Install it: pip install 'testcontainers>=4.15'. {_WITHOUT_DOCKER}",
        ) from error
