"""Examples of the how-tos, beyond what ``test_documentation.py`` does with every block."""

from pathlib import Path
from typing import Any

import pytest

from busbar.notifier.domain import WebhookSecret, headers
from busbar.policy.adapters import load_promises
from meta.checkout import ROOT, text
from meta.markdown import blocks

HOW_TO = ROOT / "docs" / "how-to"
SECRET = "whsec_" + "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


def example(page: str, language: str) -> str:
    """The first block of ``language`` on ``page``."""
    return next(block.code for block in blocks(text(HOW_TO / page)) if block.language == language)


def test_the_promise_that_is_shown_can_be_loaded(tmp_path: Path) -> None:
    file = tmp_path / "work-queue.yaml"
    file.write_text(example("offer-something.md", "yaml") + "\n", encoding="utf-8")
    promise = load_promises([file]).offered["work-queue"]
    assert promise.newest.violations(promise.newest.with_defaults({})) == ()


def test_the_error_that_is_shown_is_the_one_that_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path("work-queue.yaml")
    broken = example("offer-something.md", "yaml").replace("${spec.workers}", "${spec.worker}")
    file.write_text(broken + "\n", encoding="utf-8")
    problem = load_promises([file]).broken["work-queue"]
    assert problem.removeprefix("the ") in " ".join(text(HOW_TO / "offer-something.md").split())


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("BUSBAR_WEBHOOK_SECRET", SECRET)
    shown: dict[str, Any] = {}
    exec(compile(example("receive-webhooks.md", "python"), "receiver", "exec"), shown)  # noqa: S102 - our own page
    return shown


def signed(body: bytes, *, now: int) -> dict[str, str]:
    return headers([WebhookSecret.parse(SECRET)], "11111111-1111-5111-8111-111111111111", now, body)


def now() -> int:
    import time  # noqa: PLC0415 - the receiver's library reads the real clock

    return int(time.time())


BODY = b'{"type":"busbar.resource.provisioned.v1","data":{"resource":"a/b/c/d"}}'


def test_the_receiver_that_is_shown_takes_what_the_notifier_signs(receiver: dict[str, Any]) -> None:
    assert receiver["receive"](signed(BODY, now=now()), BODY) == 204
    assert receiver["receive"](signed(BODY, now=now()), BODY) == 204
    assert len(receiver["handled"]) == 1


@pytest.mark.parametrize("late", [False, True])
def test_the_receiver_that_is_shown_refuses_what_is_changed_or_old(
    receiver: dict[str, Any], *, late: bool
) -> None:
    sent = signed(BODY, now=now() - (3600 if late else 0))
    assert receiver["receive"](sent, BODY if late else BODY + b" ") == 401
    assert not receiver["handled"]
