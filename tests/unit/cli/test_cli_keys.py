"""`busbar keys` and `busbar principals`."""

import json
from pathlib import Path

import pytest

from busbar.messages.identity import RegisterKey, RevokeKey
from busbar.messages.signing import SigningKey
from unit.sdk.fake_gateway import FakeGateway, operation
from unit.sdk.running import Run

KEY_ID = "21fe31dfa154a261626bf854046fd227"
PRINCIPAL = {
    "principal": "payments-ci",
    "kind": "service-account",
    "teams": ["payments"],
    "sources": ["urn:team:payments"],
    "permissions": ["resource:release"],
    "keys": [
        {"key": KEY_ID, "public_key": "x" * 43, "registered": "2026-01-31T12:00:00Z"},
        {
            "key": "f" * 32,
            "public_key": "y" * 43,
            "registered": "2026-01-31T12:00:00Z",
            "revoked": "2026-02-01T12:00:00Z",
            "reason": "the laptop was lost",
        },
    ],
    "declared": True,
}


def test_a_key_is_created_in_a_private_file_and_its_public_half_is_registered(
    busbar: Run, gateway: FakeGateway, tmp_path: Path
) -> None:
    gateway.outcomes = [operation("x", "succeeded")]
    file = tmp_path / "ci.pem"
    done = busbar("keys", "create", "payments-ci", "--file", str(file))
    assert done.exit_code == 0
    key = SigningKey.from_pem(file.read_text())
    assert file.stat().st_mode & 0o777 == 0o600
    (event,) = gateway.published
    assert event.type == RegisterKey.TYPE
    assert event.data == {"principal": "payments-ci", "public_key": key.public.text}
    assert key.public.id in done.stderr
    assert "PRIVATE" not in done.stdout + done.stderr


def test_a_key_that_is_there_is_kept_and_the_request_is_a_new_one(
    busbar: Run, gateway: FakeGateway, tmp_path: Path
) -> None:
    gateway.outcomes = [operation("x", "succeeded"), operation("x", "succeeded")]
    file = tmp_path / "ci.pem"
    for _ in range(2):
        assert busbar("keys", "create", "payments-ci", "--file", str(file)).exit_code == 0
    first, second = gateway.published
    assert first.data == second.data
    assert first.id != second.id, "an earlier denial is not the answer to it"


def test_a_file_without_a_key_is_refused_and_not_quoted(busbar: Run, tmp_path: Path) -> None:
    file = tmp_path / "ci.pem"
    file.write_text("hush")
    file.chmod(0o600)
    refused = busbar("keys", "create", "payments-ci", "--file", str(file))
    assert refused.exit_code == 9
    assert "is not a private key in PEM" in refused.stderr
    assert "hush" not in refused.stderr


def test_keys_are_listed_with_their_state(busbar: Run, gateway: FakeGateway) -> None:
    gateway.principals = [PRINCIPAL]
    shown = busbar("keys", "list").stdout
    assert all(text in shown for text in (KEY_ID, "valid", "revoked", "the laptop was lost"))
    listed = json.loads(busbar("keys", "list", "--principal", "payments-ci", "-o", "json").stdout)
    assert [(one["principal"], one["key"]) for one in listed] == [
        ("payments-ci", KEY_ID),
        ("payments-ci", "f" * 32),
    ]


@pytest.mark.parametrize("confirmed", [True, False])
def test_a_key_is_revoked_for_a_reason_once_that_is_confirmed(
    busbar: Run, gateway: FakeGateway, *, confirmed: bool
) -> None:
    gateway.outcomes = [operation("x", "succeeded")]
    more = ("--yes",) if confirmed else ()
    done = busbar("keys", "revoke", KEY_ID, "--reason", "lost", *more)
    assert (done.exit_code == 0) is confirmed
    published = [(event.type, event.data) for event in gateway.published]
    asked = (RevokeKey.TYPE, {"key": KEY_ID, "reason": "lost"})
    assert published == ([asked] if confirmed else [])


def test_principals_are_listed_with_rights_and_the_number_of_valid_keys(
    busbar: Run, gateway: FakeGateway
) -> None:
    removed = {**PRINCIPAL, "principal": "old", "declared": False}
    gateway.principals = [PRINCIPAL, removed]
    (one,) = json.loads(busbar("principals", "-o", "json").stdout)
    assert one["principal"] == "payments-ci"
    shown = busbar("principals").stdout
    assert all(text in shown for text in ("service-account", "payments", "resource:release", "1"))
