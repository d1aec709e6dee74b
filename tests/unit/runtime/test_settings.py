"""Settings are read once, and an error names the variable."""

from pathlib import Path

import pytest

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.settings import InvalidSettings, load_settings


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the developer's .env and the broker of the test session."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BUSBAR_BATCH_RECORDS", "0"),
        ("BUSBAR_LEASE_SECONDS", "soon"),
        ("BUSBAR_HTTP_PORT_NUMBER", "70000"),
        ("BUSBAR_LOG_LEVEL", "LOUD"),
        ("BUSBAR_WEBHOOK_RETRY_SECONDS", "5,later"),
        ("BUSBAR_WEBHOOK_RETRY_SECONDS", "5,-1"),
        ("BUSBAR_WEBHOOK_RETRY_SECONDS", "nan"),
        ("BUSBAR_INTAKE_LAG_SECONDS", "inf"),
        ("BUSBAR_DATA_KEY", "abc"),
        ("BUSBAR_DATA_KEY", ""),
        ("BUSBAR_TOKEN", "to\nken"),
        ("BUSBAR_DATABASE_URL", "mysql://role:hush@host/database"),
        ("BUSBAR_DATABASE_OWNER_URL", "role:hush@host/database"),
        ("BUSBAR_DATABASE_URL", "postgresql://role:hu#sh@host/database"),
        ("BUSBAR_DATABASE_URL", "postgresql://[role:hush@host/database"),
        ("BUSBAR_HTTP_HOST", "127.0.0.1:80"),
        ("BUSBAR_HTTP_HOST", "http://all"),
        ("BUSBAR_URL", "127.0.0.1:8642"),
        ("BUSBAR_AUDIT_URL", "http://:80"),
        ("BUSBAR_POLICY_URL", "http://host:port"),
        ("BUSBAR_OTLP_ENDPOINT", "collector:4318"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://collector"),
        ("BUSBAR_KAFKA_BOOTSTRAP_SERVERS", ",,"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=rf"\b{variable}\b") as caught:
        load_settings()
    if value:
        assert value not in str(caught.value).replace(variable, "")
    assert ".env.example" in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "wrong"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "a:9092,foo", "foo"),
        ("KAFKA_BOOTSTRAP_SERVERS", "PLAINTEXT://a:9092", "PLAINTEXT://a:9092"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:70000", "a:70000"),
        ("BUSBAR_WEBHOOK_ALLOW_NETWORKS", "10.0.0.0/8,10.0.0.0/33", "10.0.0.0/33"),
        ("BUSBAR_WEBHOOK_ALLOW_NETWORKS", "10.0.0.1/8", "10.0.0.1/8"),
    ],
)
def test_the_part_of_a_list_that_cannot_be_used_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, wrong: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=rf"\b{variable} is not valid: '{wrong}' is not"):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka_1:9092, [::1]:9093,"),
        ("KAFKA_BOOTSTRAP_SERVERS", ""),
        ("BUSBAR_DATABASE_URL", "postgresql://r:p%23@a:1,b:2/d?target_session_attrs=any"),
        ("BUSBAR_DATABASE_URL", "postgres:///d?host=/run/postgresql"),
        ("BUSBAR_HTTP_HOST", ""),
        ("BUSBAR_HTTP_HOST", "::1"),
        ("BUSBAR_HTTP_HOST", "platform.example."),
        ("BUSBAR_URL", "https://gateway.example:8642/under"),
        ("BUSBAR_URL", ""),
        ("BUSBAR_DATA_KEY", "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="),
        ("BUSBAR_WEBHOOK_ALLOW_NETWORKS", "fd00::/8,10.1.2.3/32"),
    ],
)
def test_every_usual_form_of_a_value_is_accepted(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    load_settings()


def test_all_that_is_wrong_is_said_in_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUSBAR_HOEM", "x")
    monkeypatch.setenv("BUSBAR_LEASE_SECONDS", "0")
    monkeypatch.setenv("BUSBAR_DATA_KEY", "abc")
    with pytest.raises(InvalidSettings) as caught:
        load_settings()
    named = {problem.split()[0] for problem in caught.value.problems}
    assert named == {"BUSBAR_HOEM", "BUSBAR_LEASE_SECONDS", "BUSBAR_DATA_KEY"}


def test_lists_are_split_as_the_table_of_settings_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUSBAR_PROMISES", "/a:/b c:")
    monkeypatch.setenv("BUSBAR_WEBHOOK_RETRY_SECONDS", "1, 2.5")
    monkeypatch.setenv("BUSBAR_WEBHOOK_ALLOW_NETWORKS", "")
    settings = load_settings()
    assert settings.promise_folders() == (Path("/a"), Path("/b c"))
    assert settings.webhook_retry_seconds == (1, 2.5)
    assert settings.webhook_allow_networks == ()


def test_both_names_of_the_broker_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUSBAR_KAFKA_BOOTSTRAP_SERVERS", "ours:1")
    assert load_settings().bootstrap() == "ours:1"
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "theirs:2")
    assert load_settings().bootstrap() == "theirs:2"


def test_without_a_broker_it_says_how_to_name_one() -> None:
    with pytest.raises(ConfigurationError, match="KAFKA_BOOTSTRAP_SERVERS=host:port"):
        load_settings().bootstrap()


def test_secrets_are_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUSBAR_TOKEN", "the-token")
    monkeypatch.setenv("BUSBAR_DATA_KEY", "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=")
    shown = repr(load_settings())
    assert "the-token" not in shown
    assert "QUFB" not in shown


def test_the_home_is_made_private(tmp_path: Path) -> None:
    home = load_settings(home=tmp_path / "deep" / "home").private_home()
    assert oct(home.stat().st_mode & 0o777) == "0o700"
