"""`busbar publish`: what is refused before anything is sent, and what is signed."""

import json
import socket
from pathlib import Path

import pytest

from busbar.cli.shared.kafka import signed_record
from busbar.messages import topics
from busbar.messages.codec import kafka as codec
from busbar.messages.envelope import Envelope
from busbar.messages.notification import DeleteSubscription
from busbar.messages.resource import ApplyResource
from busbar.messages.signing import SigningKey, signature_of, verify
from unit.sdk.running import Run

RESOURCE = {"team": "payments", "environment": "dev", "promise": "event-stream", "name": "orders"}
KEY = SigningKey.generate()


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """An intent, and a key to sign it with."""
    intent, key = tmp_path / "orders.json", tmp_path / "ci.pem"
    intent.write_text(json.dumps({**RESOURCE, "spec": {}}), encoding="utf-8")
    key.write_text(KEY.pem, encoding="ascii")
    key.chmod(0o600)
    return str(intent), str(key)


@pytest.mark.parametrize(
    ("type_", "data", "key", "topic"),
    [
        (
            ApplyResource.TYPE,
            {**RESOURCE, "spec": {}},
            b"payments/dev/event-stream/orders",
            topics.INTENTS_RESOURCE,
        ),
        (
            DeleteSubscription.TYPE,
            {"team": "payments", "name": "done"},
            b"payments/done",
            topics.INTENTS_SUBSCRIPTION,
        ),
    ],
)
def test_a_record_has_the_key_of_its_topic_and_a_signature_that_fits(
    type_: str, data: dict[str, object], key: bytes, topic: str
) -> None:
    subject = "payments/done" if type_ == DeleteSubscription.TYPE else None
    event = Envelope(id="1", source="urn:team:payments", type=type_, subject=subject, data=data)
    record = signed_record(event, KEY)
    assert (record.topic, record.key) == (topic, key)
    verify(
        KEY.public,
        signature_of(record.headers),
        topic=topic,
        record_key=record.key,
        headers=record.headers,
        value=record.value,
    )
    assert codec.read(record.headers, record.value, record.key).data == data


def test_without_a_source_nothing_is_sent(busbar: Run, files: tuple[str, str]) -> None:
    intent, key = files
    result = busbar("publish", "-f", intent, "--key", key, "--bootstrap-server", "localhost:1")
    assert result.exit_code == 2
    assert "A resource needs a source." in result.stderr


def test_a_key_that_is_not_there_is_named(busbar: Run, files: tuple[str, str]) -> None:
    intent, key = files
    missing = key.replace("ci", "missing")
    arguments = ("-f", intent, "--key", missing, "--source", "urn:x")
    result = busbar("publish", *arguments, "--bootstrap-server", "localhost:1")
    assert result.exit_code == 9
    assert f"There is no key {missing}." in " ".join(result.stderr.split())


def test_a_key_that_others_can_read_is_refused(busbar: Run, files: tuple[str, str]) -> None:
    intent, key = files
    Path(key).chmod(0o644)
    arguments = ("-f", intent, "--key", key, "--source", "urn:x")
    result = busbar("publish", *arguments, "--bootstrap-server", "localhost:1")
    assert result.exit_code == 9
    assert "can be read by other users" in " ".join(result.stderr.split())


def test_brokers_that_are_none_are_refused(busbar: Run, files: tuple[str, str]) -> None:
    intent, key = files
    arguments = ("-f", intent, "--key", key, "--source", "urn:x")
    result = busbar("publish", *arguments, "--bootstrap-server", "nonsense")
    assert result.exit_code == 2
    assert "--bootstrap-server" in result.stderr


def test_a_broker_that_is_not_there_is_named_and_no_traceback_is_shown(
    busbar: Run, files: tuple[str, str]
) -> None:
    intent, key = files
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # nothing listens
        server = f"127.0.0.1:{closed.getsockname()[1]}"
        arguments = ("-f", intent, "--key", key, "--source", "urn:x")
        result = busbar("publish", *arguments, "--bootstrap-server", server)
    assert result.exit_code == 7
    said = " ".join(result.stderr.split())
    assert f"Kafka at {server} cannot be reached." in said
    assert "PRIVATE KEY" not in said
