"""Logs are one JSON object per line, without secrets."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.runtime.telemetry.logs import REDACTED, SECRET_VALUES, as_json, redact

SECRET = "s3cr3t-v4lue"  # noqa: S105 - a made-up one

NAMES = (
    *("password", "db_passwd", "client_secret", "token", "Authorization", "api-key", "apikey"),
    *("data_key", "credentials", "BUSBAR_TOKEN"),
)

_SCRIPT = """
import logging
from busbar.runtime.telemetry.logs import bind, configure, get_logger
configure(service="policy", level="INFO", form="json")
log = get_logger()
with bind(operation="op-1"):
    log.info("batch_committed", records=12, password="s3cr3t-v4lue")
log.debug("never_seen")
try:
    raise ValueError("postgres://u:s3cr3t-v4lue@h/db")
except ValueError:
    log.exception("it_failed")
logging.getLogger("library").warning("Bearer s3cr3t-v4lue for %s", "you")
logging.getLogger("library").info("never seen")
"""


def redacted(**fields: Any) -> dict[str, Any]:
    return dict(redact(None, "info", fields))


@pytest.mark.parametrize(
    "name",
    NAMES,
)
@pytest.mark.parametrize("value", [SECRET, SECRET.encode(), {"a": SECRET}, [SECRET], 17])
def test_values_with_a_secret_name_are_hidden(name: str, value: object) -> None:
    assert redacted(**{name: value}) == {name: REDACTED}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"postgres://user:{SECRET}@host/db", "postgres[redacted]host/db"),
        (f"redis://:{SECRET}@host", "redis[redacted]host"),
        (f"Authorization: Bearer {SECRET}", "Authorization: [redacted]"),
        (f"bearer {SECRET} and more", "[redacted] and more"),
        ("signed with whsec_abc+/= today", "signed with [redacted] today"),
    ],
)
def test_secrets_inside_other_values_are_hidden(text: str, left: str) -> None:
    assert redacted(event=text) == {"event": left}


def test_secrets_are_hidden_at_any_depth() -> None:
    fields = redacted(
        request={"headers": [{"authorization": SECRET, "accept": "x"}], "token": SECRET},
        urls=(f"redis://:{SECRET}@host", 3),
    )
    assert fields == {
        "request": {"headers": [{"authorization": REDACTED, "accept": "x"}], "token": REDACTED},
        "urls": ["redis[redacted]host", 3],
    }


def test_what_was_logged_is_not_changed_for_its_owner() -> None:
    headers = {"authorization": SECRET}
    redacted(headers=headers)
    assert headers == {"authorization": SECRET}


@given(st.text(), st.integers() | st.none() | st.booleans() | st.floats(allow_nan=False))
def test_harmless_values_stay_as_they_are(text: str, number: object) -> None:
    plain = text.replace(":", " ").replace("earer", "").replace("whsec_", "")
    assert redacted(event=plain, records=number) == {"event": plain, "records": number}


_PARTS = ("://", ":", "@", "bearer ", "Bearer", " ", "whsec_", "x", "/", "h", "\n", "BEARER ")


@given(st.lists(st.sampled_from(_PARTS)).map("".join))
def test_every_text_that_holds_a_secret_is_looked_through(text: str) -> None:
    assert redacted(event=text) == {"event": SECRET_VALUES.sub(REDACTED, text)}


@pytest.mark.parametrize(
    "value", [2**70, {1: "a"}, {"a", "b"}, object(), b"bytes", float("inf"), "\ud800"]
)
def test_every_logged_value_becomes_a_line_of_json(value: object) -> None:
    line = as_json({"event": "it", "value": value}, default=repr)
    assert json.loads(line)["event"] == "it"
    assert "\n" not in line


def test_lines_are_json_with_the_service_and_the_operation_and_without_secrets() -> None:
    command = [sys.executable, "-c", _SCRIPT]
    done = subprocess.run(command, capture_output=True, check=True)  # noqa: S603 - our own
    assert done.stdout == b""
    assert SECRET.encode() not in done.stderr
    first, failure, foreign = (json.loads(line) for line in done.stderr.splitlines())
    assert first["event"] == "batch_committed"
    assert (first["records"], first["operation"], first["service"]) == (12, "op-1", "policy")
    assert first["level"] == "info"
    assert first["timestamp"].endswith("Z")
    assert "ValueError" in failure["exception"]
    assert "operation" not in failure
    assert (foreign["event"], foreign["service"]) == ("[redacted] for you", "policy")
