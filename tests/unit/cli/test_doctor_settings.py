"""`busbar doctor` lists what is wrong with settings, and checks the servers that they name."""

import json
import socket

import pytest

from unit.sdk.running import Run


def rows(busbar: Run, name: str) -> list[dict[str, object]]:
    found = json.loads(busbar("doctor", "-o", "json").stdout)["checks"]
    return [row for row in found if row["name"] == name]


def test_every_setting_that_cannot_be_used_has_a_row(
    busbar: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {
        "BUSBAR_HOEM": "x",
        "BUSBAR_DATA_KEY": "abc",
        "BUSBAR_WEBHOOK_ALLOW_NETWORKS": "10.0.0.0/33",
        "BUSBAR_DATABASE_URL": "mysql://a:hush@b/c",
        "KAFKA_BOOTSTRAP_SERVERS": "foo",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    found = rows(busbar, "Settings")
    assert {str(row["detail"]).split()[0] for row in found} == set(wrong)
    assert all(row["fix"] and not row["ok"] for row in found)
    shown = busbar("doctor")
    assert shown.exit_code == 9
    assert "hush" not in shown.output


def test_a_setting_that_cannot_be_used_stops_up_before_anything_starts(
    busbar: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUSBAR_WEBHOOK_ALLOW_NETWORKS", "10.0.0.0/33")
    refused = busbar("up")
    assert refused.exit_code == 9
    assert "BUSBAR_WEBHOOK_ALLOW_NETWORKS is not valid: '10.0.0.0/33'" in refused.stderr
    assert refused.stdout == ""


@pytest.mark.parametrize("variable", ["BUSBAR_DATABASE_URL", "BUSBAR_DATABASE_OWNER_URL"])
def test_a_database_that_does_not_answer_has_a_row(
    busbar: Run, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with socket.socket() as taken:  # bound and not listening: connections are refused
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv(variable, f"postgresql://a:hush@127.0.0.1:{port}/c")
        (row,) = rows(busbar, "Database")
    assert not row["ok"]
    assert row["needed"]
    assert variable in str(row["detail"])
    assert variable in str(row["fix"])
    assert "hush" not in str(row)


def test_that_unsigned_intents_are_accepted_is_a_warning_that_says_what_it_means(
    busbar: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = rows(busbar, "Signatures")
    assert row["ok"]
    monkeypatch.setenv("BUSBAR_UNSIGNED_INTENTS", "accept")
    (row,) = rows(busbar, "Signatures")
    assert (row["ok"], row["needed"]) == (False, False)
    assert "everybody who can write to Kafka may ask for everything" in str(row["detail"])
    assert "Unset BUSBAR_UNSIGNED_INTENTS" in str(row["fix"])


def test_a_collector_that_does_not_answer_is_a_warning(
    busbar: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        monkeypatch.setenv("BUSBAR_OTLP_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        (row,) = rows(busbar, "Traces")
        assert (row["ok"], row["needed"]) == (False, False)
        assert "BUSBAR_OTLP_ENDPOINT" in str(row["fix"])
        server.listen()
        (row,) = rows(busbar, "Traces")
        assert row["ok"]
