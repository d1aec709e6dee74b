"""Examples of the how-tos, beyond what ``test_documentation.py`` does with every block."""

import re
from inspect import getmembers, signature
from pathlib import Path
from typing import Any

import pytest

from busbar.audit.domain import AuditRecord, explain
from busbar.kernel.errors import ConfigurationError
from busbar.kernel.resource import ResourceId
from busbar.messages.base import JsonObject, Message
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import (
    ApplyResource,
    ResourceProvisioned,
    ResourceQueued,
    StepStarted,
    StepSucceeded,
)
from busbar.notifier.domain import WebhookSecret, headers
from busbar.policy.adapters import load_known, load_promises, load_rules, shipped
from busbar.policy.domain.engine import PolicyRequest
from busbar.runtime.core import documents
from busbar.sdk import Client
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


def test_the_examples_of_rules_and_environments_combine_as_both_pages_say(tmp_path: Path) -> None:
    environments, rules = tmp_path / "environments.yaml", tmp_path / "rules.yaml"
    environments.write_text(example("declare-environments.md", "yaml"), encoding="utf-8")
    shown = example("write-a-rule.md", "yaml")
    rules.write_text(shown, encoding="utf-8")
    known = load_known([ROOT / "contracts" / "promises"], environments)
    said = "there is no environment of the match 'stage'"
    with pytest.raises(ConfigurationError, match=said):
        load_rules([rules], known)
    for page in ("declare-environments.md", "write-a-rule.md"):
        assert said in " ".join(text(HOW_TO / page).split())
    changed = shown.replace("[stage, prod]", "[prod-*]").replace(
        "environment: prod,", "environment: prod-eu,"
    )
    rules.write_text(changed, encoding="utf-8")
    loaded = {rule.name for rule in load_rules([rules], known).rules}
    assert "connections-outside-prod" in loaded


def calls_of(client: type[Client]) -> list[str]:
    """The public methods as the page of the SDK writes them, without what every intent takes."""
    found = []
    for name, method in getmembers(client, callable):
        parameters = [] if name.startswith("_") else list(signature(method).parameters.values())[1:]
        shown = [
            f"{one.name}=" if one.kind is one.KEYWORD_ONLY else one.name
            for one in parameters
            if one.name not in {"event_id", "key", "progress"}
        ]
        found += [] if name.startswith("_") else [f"`{name}({', '.join(shown)})`"]
    return found


def test_the_page_of_the_sdk_lists_every_call_with_its_parameters() -> None:
    page = text(HOW_TO / "use-the-python-sdk.md")
    listed = re.findall(r"^\| (`\w+\([^`]*\)`) \|", page, re.MULTILINE)
    assert sorted(listed) == sorted(calls_of(Client))


def recorded(message: type[Message], number: int, **changed: Any) -> AuditRecord:
    """The audit log's record of ``message``'s first example, with some fields changed."""
    return AuditRecord(
        cursor=number,
        topic=message.TOPIC,
        partition=2,
        offset=0,
        key=None,
        type=message.TYPE,
        id="eecebf282925-03126ede0e03541c",
        source="urn:busbar:cli:you",
        time=f"2026-01-01T00:00:{number:02d}.000000Z",
        recorded_time="2026-01-01T00:01:00.000000Z",
        resource="payments/dev/event-stream/orders",
        operation="operation",
        relay=None,
        sequence=None,
        value_digest="",
        readable=True,
        data={**message.EXAMPLES[0], **changed},
    )


def satisfied_rules(data: JsonObject) -> tuple[str, ...]:
    """The rules that come with busbar and are about ``data``, none of which may deny it."""
    resource = ResourceId.parse("payments/dev/event-stream/orders")
    request = PolicyRequest(action="apply", resource=resource, data=data)
    found = load_rules([], shipped()).evaluate(request)
    assert not found.fired
    return found.satisfied


def test_the_history_in_the_readme_is_what_busbar_why_prints() -> None:
    promise = load_promises([ROOT / "contracts" / "promises"]).offered["event-stream"].newest
    plan, reference = promise.plan.model_dump(mode="json"), promise.ref.model_dump(mode="json")
    rules = satisfied_rules(documents.read(HOW_TO / "orders.yaml").data)
    caller = {"principal": "admin", "verified": "relayed", "position": 14}
    history = explain(
        [
            recorded(ApplyResource, 1),
            recorded(IntentAllowed, 2, promise=reference, rules=rules, caller=caller),
            recorded(ResourceQueued, 3, plan=plan),
            recorded(StepStarted, 4),
            recorded(StepSucceeded, 5),
            recorded(ResourceProvisioned, 6),
        ]
    )
    shown = re.findall(r"^[\d:.]+Z  (.+)\n    (\S+)/2/\d+$", text(ROOT / "README.md"), re.MULTILINE)
    assert len(shown) == len(history)
    for (sentence, topic), printed in zip(shown, history, strict=True):
        pattern = ".*".join(re.escape(part) for part in sentence.split("…"))
        assert re.fullmatch(pattern, printed.text), f"{sentence!r} is not {printed.text!r}"
        assert topic == printed.topic


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
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
