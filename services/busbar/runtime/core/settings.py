"""Settings, read once from the environment (and ``.env``); names start with ``BUSBAR_``."""

import os
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.assets import asset


class Settings(BaseSettings):
    """Every setting of every service. ``.env.example`` lists them with their defaults."""

    model_config = SettingsConfigDict(
        env_prefix="BUSBAR_", env_file=".env", extra="ignore", populate_by_name=True
    )

    home: Path = Field(
        default=Path(".busbar"), description="Where state, keys and logs are kept (mode 0700)."
    )
    kafka_bootstrap_servers: str | None = Field(
        default=None,
        validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS", "BUSBAR_KAFKA_BOOTSTRAP_SERVERS"),
        description="host:port, comma-separated. Unset: `busbar up` starts a broker of its own.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="postgresql://role:password@host/database. Unset: a SQLite file a service.",
    )
    database_owner_url: SecretStr | None = Field(
        default=None,
        description="The same database as the role that owns the tables; only migrating reads it.",
    )
    database_connections: int = Field(
        default=8,
        ge=2,
        le=100,
        description="Connections that a process may have to PostgreSQL at once.",
    )
    promises: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Folders of promise files, separated by ':'; replaces the shipped ones.",
    )
    policies: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Folders of rule files, separated by ':'; replaces the shipped ones.",
    )
    http_host: str = Field(default="127.0.0.1", description="Address the service listens on.")
    http_port: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="Port of `busbar run`, but for the gateway; 0 takes a free one.",
    )
    gateway_port: int = Field(
        default=8642,
        ge=0,
        le=65535,
        description="Port of the gateway, however it is started.",
    )
    instances: int = Field(
        default=1,
        ge=1,
        le=12,
        description=(
            "Number of instances of each service under `busbar up` (the gateway always runs once); "
            "more than 1 requires PostgreSQL."
        ),
    )
    instance_number: int | None = Field(
        default=None,
        ge=1,
        description=(
            "Number of this instance, unique among the instances of a service that share a home. "
            "`busbar up` sets it, so that a restarted instance gets its partitions back without a "
            "rebalance."
        ),
    )
    audit_url: str | None = Field(default=None, description="Where the gateway reaches audit.")
    token: SecretStr | None = Field(
        default=None, description="Bearer token of the gateway. Unset: <home>/token (0600)."
    )
    data_key: SecretStr | None = Field(
        default=None,
        description="32 bytes, base64: seals secrets and dead letters. Unset: <home>/data.key.",
    )
    lease_seconds: float = Field(
        default=5.0, gt=0, le=60, description="How long a worker owns a task between heartbeats."
    )
    batch_records: int = Field(
        default=500, ge=1, le=10_000, description="Records handled in one transaction at the most."
    )
    handler_attempts: int = Field(
        default=5,
        ge=1,
        le=100,
        description="Tries of a failing message before its ordering key is parked.",
    )
    intake_backlog: int = Field(
        default=1000,
        ge=0,
        description="Undecided intents from which on the gateway looks at their lag.",
    )
    intake_lag_seconds: float = Field(
        default=60.0,
        ge=0,
        description="With so many, and the oldest older than this, new intents get a 429.",
    )
    webhook_allow_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("127.0.0.0/8", "::1/128"),
        description="Private networks that webhooks may reach, comma-separated.",
    )
    webhook_retry_seconds: Annotated[tuple[float, ...], NoDecode] = Field(
        default=(5, 30, 120, 600, 3600, 10800, 21600, 43200),
        description="Waits between webhook attempts, comma-separated seconds.",
    )
    metrics: bool = Field(
        default=True,
        description="Whether services give their metrics to whoever asks for /metrics.",
    )
    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias=AliasChoices("BUSBAR_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="Collector that traces are sent to over HTTP, as http://127.0.0.1:4318. "
        "Unset: no traces.",
    )
    trace_sample: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of traces that is kept where the producer has not decided.",
    )
    log_level: str = Field(
        default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="What is logged."
    )
    log_format: str = Field(
        default="json", pattern="^(json|console)$", description="One JSON object a line, or text."
    )

    @field_validator("database_url", "database_owner_url", "otlp_endpoint", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return value or None

    @field_validator("promises", "policies", mode="before")
    @classmethod
    def _folders(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(Path(part) for part in value.split(os.pathsep) if part)

    @field_validator("webhook_allow_networks", "webhook_retry_seconds", mode="before")
    @classmethod
    def _commas(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())

    def promise_folders(self) -> tuple[Path, ...]:
        """The folders that promises are read from."""
        return self.promises or (asset("contracts/promises"),)

    def policy_folders(self) -> tuple[Path, ...]:
        """The folders that rules are read from."""
        return self.policies or (asset("contracts/policies"),)

    def bootstrap(self) -> str:
        """The Kafka bootstrap servers.

        Raises:
            ConfigurationError: none are set.
        """
        if not self.kafka_bootstrap_servers:
            raise ConfigurationError(
                "No Kafka broker is configured.",
                fix="Set KAFKA_BOOTSTRAP_SERVERS=host:port, or let `busbar up` start everything.",
            )
        return self.kafka_bootstrap_servers

    def private_home(self) -> Path:
        """The home folder, made if it is not there, readable by its owner only."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.home


def load_settings(**overrides: object) -> Settings:
    """Read the settings.

    Raises:
        ConfigurationError: a variable has a value that does not fit; the error names it.
    """
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # checked by pydantic itself
    except ValidationError as error:
        problems = "; ".join(
            f"{_variable(item['loc'][0])}: {item['msg']}"
            for item in error.errors(include_input=False, include_url=False)
        )
        raise ConfigurationError(
            f"A setting does not fit: {problems}.", fix="See .env.example for what it takes."
        ) from None


def _variable(field: int | str) -> str:
    name = str(field).upper()
    return name if name.startswith(("BUSBAR_", "KAFKA_", "OTEL_")) else f"BUSBAR_{name}"
