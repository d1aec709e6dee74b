"""Settings, read once from the environment and ``.env``; names start with ``BUSBAR_``.

A variable or a line that is meant for busbar and is not a setting is refused: without it,
something else would hold than its author believes.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from busbar.kernel.errors import ConfigurationError
from busbar.kernel.resource import SLUG
from busbar.messages.validation import field_errors
from busbar.runtime.core import setting_values, variables
from busbar.runtime.core.assets import asset

_FILE = Path(".env")

Value = TypeVar("Value")


class Settings(BaseSettings):
    """Every setting of every service. ``.env.example`` lists them with their defaults."""

    model_config = SettingsConfigDict(
        env_prefix=variables.PREFIX, env_file=_FILE, extra="ignore", populate_by_name=True
    )

    home: Path = Field(
        default=Path(".busbar"),
        description="Folder of the platform's state, keys and logs (mode 0700).",
    )
    kafka_bootstrap_servers: str | None = Field(
        default=None,
        validation_alias=AliasChoices("KAFKA_BOOTSTRAP_SERVERS", "BUSBAR_KAFKA_BOOTSTRAP_SERVERS"),
        description="Kafka brokers, as comma-separated host:port. If unset, `busbar up` starts a "
        "broker.",
    )
    database_url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL database of the services, as "
        "postgresql://role:password@host/database. If unset, each service keeps a SQLite file in "
        "the home.",
    )
    database_owner_url: SecretStr | None = Field(
        default=None,
        description="The same database, with the role that owns the tables. Only migrations use "
        "it.",
    )
    database_connections: int = Field(
        default=8,
        ge=2,
        le=100,
        description="Maximum number of PostgreSQL connections of a process.",
    )
    promises: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Folders with promise files, separated by ':'. They replace the built-in "
        "promises.",
    )
    policies: Annotated[tuple[Path, ...], NoDecode] = Field(
        default=(),
        description="Folders with rule files, separated by ':'. Their rules are added to the "
        "built-in ones, which they can lift.",
    )
    environments: Path | None = Field(
        default=None,
        description="File that declares the environments. It replaces the built-in declaration of "
        "dev, test, stage and prod.",
    )
    principals: Path | None = Field(
        default=None,
        description="File that declares people, service accounts, bots and services: their teams, "
        "sources, permissions and public keys. The default is principals.yaml in the home.",
    )
    unsigned_intents: Literal["refuse", "accept"] = Field(
        default="refuse",
        description="`accept` is for development: everybody who can write to Kafka may do "
        "everything, in the name of every source.",
    )
    http_host: str = Field(
        default="127.0.0.1", description="Address that services listen on for HTTP."
    )
    http_port_number: int = Field(
        default=0,
        ge=0,
        le=65535,
        description="HTTP port of `busbar run`, except for the gateway. 0 picks a free port.",
    )
    gateway_port_number: int = Field(
        default=8642,
        ge=0,
        le=65535,
        description="HTTP port of the gateway. 0 picks a free port.",
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
    audit_url: str | None = Field(default=None, description="URL of audit, for the gateway.")
    policy_url: str | None = Field(default=None, description="URL of policy, for the gateway.")
    url: str | None = Field(
        default=None,
        description="URL of the gateway, for commands and programs that use the Python SDK. If "
        "unset, it is that of the platform that runs in the home.",
    )
    token: SecretStr | None = Field(
        default=None,
        description="Bearer token of the gateway. If unset, it is kept in <home>/token (mode "
        "0600).",
    )
    principal: str | None = Field(
        default=None,
        pattern=f"^{SLUG}$",
        description="Principal that commands and programs that use the Python SDK authenticate "
        "as, with its key. If unset, they use the token.",
    )
    key_file: Path | None = Field(
        default=None,
        description="File with the private key of that principal. If unset, it is "
        "keys/<principal>.pem in the home.",
    )
    data_key: SecretStr | None = Field(
        default=None,
        description="Key that encrypts secrets and dead letters: 32 bytes in base64. If unset, it "
        "is "
        "kept in <home>/data.key (mode 0600).",
    )
    lease_seconds: float = Field(
        default=5.0,
        gt=0,
        le=60,
        description="Duration of a task's lease, in seconds: another instance takes the task over "
        "that "
        "long after its last heartbeat.",
    )
    batch_records: int = Field(
        default=500,
        ge=1,
        le=10_000,
        description="Maximum number of records handled in one transaction.",
    )
    handler_attempts: int = Field(
        default=5,
        ge=1,
        le=100,
        description="Attempts to handle a message before its ordering key is parked.",
    )
    intake_backlog: int = Field(
        default=1000,
        ge=0,
        description="Backpressure: the gateway rejects new intents with status 429 if more than "
        "this "
        "number of intents are undecided and the oldest exceeds the lag below.",
    )
    intake_lag_seconds: float = Field(
        default=60.0,
        ge=0,
        allow_inf_nan=False,
        description="Backpressure: maximum age of the oldest undecided intent, in seconds.",
    )
    webhook_allow_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("127.0.0.0/8", "::1/128"),
        description="Private networks that webhooks may reach, comma-separated. Public addresses "
        "are "
        "always allowed.",
    )
    webhook_retry_seconds: Annotated[tuple[float, ...], NoDecode] = Field(
        default=(5, 30, 120, 600, 3600, 10800, 21600, 43200),
        description="Delays between the attempts to deliver a webhook, in comma-separated seconds.",
    )
    metrics: bool = Field(
        default=True,
        description="Whether services expose metrics on /metrics, without authentication.",
    )
    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias=AliasChoices("BUSBAR_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="OpenTelemetry collector for traces (OTLP over HTTP), such as "
        "http://127.0.0.1:4318. If unset, tracing is off.",
    )
    trace_sample: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of traces that are sampled, from 0 to 1, unless the producer has "
        "decided.",
    )
    log_level: str = Field(
        default="INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="Minimum level of log events.",
    )
    log_format: str = Field(
        default="json",
        pattern="^(json|console)$",
        description="Format of log events: one JSON object per line, or text.",
    )

    @field_validator(
        *("database_url", "database_owner_url", "otlp_endpoint", "environments", "url"),
        *("kafka_bootstrap_servers", "audit_url", "policy_url", "principals"),
        *("principal", "key_file"),
        mode="before",
    )
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

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _brokers(cls, value: str | None) -> str | None:
        return _checked(setting_values.check_brokers, value)

    @field_validator("http_host")
    @classmethod
    def _host(cls, value: str) -> str:
        return _checked(setting_values.check_host, value)

    @field_validator("audit_url", "policy_url", "url", "otlp_endpoint")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        return _checked(setting_values.check_http_url, value)

    @field_validator("database_url", "database_owner_url")
    @classmethod
    def _database_url(cls, value: SecretStr | None) -> SecretStr | None:
        return _checked(setting_values.check_database_url, value)

    @field_validator("data_key")
    @classmethod
    def _data_key(cls, value: SecretStr | None) -> SecretStr | None:
        return _checked(setting_values.check_data_key, value)

    @field_validator("token")
    @classmethod
    def _token(cls, value: SecretStr | None) -> SecretStr | None:
        return _checked(setting_values.check_bearer_token, value)

    @field_validator("webhook_allow_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _checked(setting_values.check_networks, value)

    @field_validator("webhook_retry_seconds")
    @classmethod
    def _delays(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        return _checked(setting_values.check_delays, value)

    def promise_folders(self) -> tuple[Path, ...]:
        """Return the folders that promises are read from."""
        return self.promises or (asset("contracts/promises"),)

    def environments_file(self) -> Path:
        """Return the file that declares the environments."""
        return self.environments or asset("contracts/environments.yaml")

    def principals_file(self) -> Path:
        """Return the file that declares the principals; it may be missing."""
        return self.principals or self.home / "principals.yaml"

    def bootstrap(self) -> str:
        """Return the Kafka bootstrap servers.

        Raises:
            ConfigurationError: there are none.
        """
        if not self.kafka_bootstrap_servers:
            raise ConfigurationError(
                "No Kafka broker is configured.",
                fix="Set KAFKA_BOOTSTRAP_SERVERS=host:port, or let `busbar up` start everything.",
            )
        return self.kafka_bootstrap_servers

    def private_home(self) -> Path:
        """Return the home folder; create it, accessible by its owner only, if it is missing."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self.home


def known_variables() -> frozenset[str]:
    """Return the names of all variables that settings are read from."""
    names: set[str] = set()
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices):
            names.update(str(choice) for choice in alias.choices)
        else:
            names.add(f"{variables.PREFIX}{name.upper()}")
    return frozenset(names)


class InvalidSettings(ConfigurationError):
    """Variables or lines of ``.env`` are not settings, or their values cannot be used."""

    def __init__(self, problems: Iterable[str]) -> None:
        """Give a clause for each problem, which starts with the variable or line."""
        self.problems = tuple(problems)
        super().__init__(
            f"Invalid settings: {'; '.join(self.problems)}.",
            fix="Correct or remove them. .env.example lists all settings and their values.",
        )


def check_variables() -> None:
    """Return if every variable and line of ``.env`` that is meant for busbar is a setting.

    Raises:
        InvalidSettings: one is not; the error names it and the closest setting.
    """
    if found := _unknown():
        raise InvalidSettings(found)


def load_settings(**overrides: object) -> Settings:
    """Read the settings.

    Raises:
        InvalidSettings: a variable is not a setting or a value cannot be used; the error names all
            of them.
    """
    found = _unknown()
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]  # checked by pydantic itself
    except ValidationError as error:
        wrong = [f"{_variable(one.location[0])} {one.expected}" for one in field_errors(error)]
        raise InvalidSettings([*found, *wrong]) from None
    except (OSError, UnicodeDecodeError):
        if not found:
            raise
        raise InvalidSettings(found) from None  # .env cannot be read, as one of them says
    if found:
        raise InvalidSettings(found)
    return settings


def _unknown() -> list[str]:
    known = known_variables()
    return [
        *variables.unknown_variables(os.environ, known),  # noqa: TID251 - here they are read
        *variables.unknown_lines(_FILE, known),
    ]


def _variable(field: int | str) -> str:
    """Return the variable that the value of ``field`` comes from, as far as that is known."""
    for name, info in Settings.model_fields.items():
        alias = info.validation_alias
        choices = [str(one) for one in alias.choices] if isinstance(alias, AliasChoices) else []
        if str(field) in (name, *choices):
            given = [one for one in choices if one in os.environ]  # noqa: TID251 - here they are read
            return [*given, *choices, f"{variables.PREFIX}{name.upper()}"][0]
    return f"{variables.PREFIX}{str(field).upper()}"


def _checked(check: Callable[[Any], None], value: Value) -> Value:
    """Return ``value`` if it is None or ``check`` accepts it, or the text of the secret that it is.

    Raises:
        ValueError: it cannot be used.
    """
    if value is not None:
        check(value.get_secret_value() if isinstance(value, SecretStr) else value)
    return value
