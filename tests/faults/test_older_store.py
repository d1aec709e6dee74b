"""Stores that are older than Kafka behave as docs/how-to/back-up-and-restore.md says."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parents[1]
LOST = [0.01, 0.028, 0.034, 4.0]
"""Seconds between the second intent and the loss: before, while and after it is provisioned."""


def restored(*arguments: str) -> dict[str, Any]:
    """``python -m faults.older_store``, in a process of its own."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "faults.older_store", *arguments],
        cwd=TESTS,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def older() -> dict[str, Any]:
    return restored(*map(str, LOST))


def test_nothing_is_made_twice_and_nothing_that_kafka_has_is_lost(older: dict[str, Any]) -> None:
    for lost, found in older.items():
        assert found["effects"] == 4, f"two steps of two intents, lost at {lost}"
        assert found["world"] == {"orders-a": 2, "orders-b": 2}
        assert "second" in found["restored"]["operations"]


def test_an_operation_ends_or_is_shown_as_running(older: dict[str, Any]) -> None:
    shown = {found["restored"]["operations"]["second"] for found in older.values()}
    assert shown <= {"succeeded", "running"}
    assert "succeeded" in shown


def test_asking_again_under_a_new_id_ends_and_shows_how_it_is(older: dict[str, Any]) -> None:
    for found in older.values():
        assert found["asked again"]["operations"]["second once more"] == "succeeded"
        status, _, outputs = found["asked again"]["resource"]
        assert (status, outputs) == ("ready", {"size": 2})


def test_audit_names_digests_that_differ_and_nothing_else(older: dict[str, Any]) -> None:
    kinds = {kind for found in older.values() for kind in found["audit"]}
    assert kinds == {"digest_differs"}


@pytest.mark.parametrize("copied", ["0.001", "0.03"])
def test_stores_and_topics_that_are_restored_together_are_clean(copied: str) -> None:
    (found,) = restored("4.5", "--copied", copied, "--whole").values()
    assert found["audit"] == []
    ended = found["restored"]["operations"]
    assert set(ended.values()) == {"succeeded"}
    assert found["world"] == {"orders-a": 2, "orders-b": 2}
