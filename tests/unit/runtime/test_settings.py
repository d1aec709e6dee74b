"""Settings are read once, and an error names the variable."""

from pathlib import Path

import pytest

from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.settings import load_settings


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
    ],
)
def test_a_value_that_does_not_fit_is_refused_by_the_name_of_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=rf"\b{variable}\b") as caught:
        load_settings()
    assert value not in str(caught.value).replace(variable, "")
    assert ".env.example" in str(caught.value)


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
    monkeypatch.setenv("BUSBAR_DATA_KEY", "the-key")
    assert "the-" not in repr(load_settings())


def test_the_home_is_made_private(tmp_path: Path) -> None:
    home = load_settings(home=tmp_path / "deep" / "home").private_home()
    assert oct(home.stat().st_mode & 0o777) == "0o700"
