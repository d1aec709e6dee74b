"""Why: every message that people would see has a sentence."""

from typing import Any

import pytest

from busbar.audit.domain import AuditRecord, explain
from busbar.messages import topics
from busbar.messages.base import Fact, Message
from busbar.messages.catalogue import FACTS, INTENTS
from busbar.messages.delivery import DeadLetterRedriven, HeadPublished
from busbar.messages.notification import WebhookDelivered
from busbar.messages.policy import IntentAllowed, IntentConflicted, IntentDenied
from busbar.messages.resource import (
    ApplyResource,
    ResourceFailed,
    ResourceProvisioned,
    ResourceStuck,
    StepFailed,
    StepSucceeded,
    StepUndone,
)
from unit.audit.conftest import SOURCE, Bus

UNSEEN = {HeadPublished}
"""What is between machines only."""


def record(message: type[Message], number: int = 1, **changed: Any) -> AuditRecord:
    """``message``'s first example as a record; keywords with an underscore change the record."""
    about = {name[1:]: value for name, value in changed.items() if name.startswith("_")}
    data = {name: value for name, value in changed.items() if not name.startswith("_")}
    fields: dict[str, Any] = {
        "cursor": number,
        "topic": message.TOPIC.format(service="policy"),
        "partition": 2,
        "offset": number,
        "key": None,
        "type": message.TYPE,
        "id": f"id-{number}",
        "source": SOURCE,
        "time": f"2026-01-01T00:00:{number:02d}.000000Z",
        "recorded_time": "2026-01-01T01:00:00.000000Z",
        "resource": "payments/dev/event-stream/orders",
        "operation": "o",
        "relay": None,
        "sequence": None,
        "value_digest": "",
        "readable": True,
        "data": {**message.EXAMPLES[0], **data},
        **about,
    }
    return AuditRecord(**fields)


def said(*records: AuditRecord) -> list[str]:
    return [sentence.text for sentence in explain(records)]


@pytest.mark.parametrize("message", [*INTENTS, *FACTS])
def test_every_message_that_people_would_see_has_a_sentence(message: type[Message]) -> None:
    found = explain([record(message)])
    if message in UNSEEN:
        assert found == []
        return
    (sentence,) = found
    assert sentence.text[0].isupper() or sentence.text.split()[0] in {
        SOURCE,
        "payments/orders-done",
        "policy",
    }
    assert sentence.text.endswith((".", "again"))
    assert "{" not in sentence.text
    assert "None" not in sentence.text
    assert (sentence.partition, sentence.offset, sentence.operation) == (2, 1, "o")


@pytest.mark.parametrize(
    ("message", "changed", "text"),
    [
        (ApplyResource, {}, f"{SOURCE} asked for: apply of payments/dev/event-stream/orders"),
        (IntentAllowed, {"rules": []}, "rules satisfied: no rule applied."),
        (IntentAllowed, {"rules": ["a", "b"]}, "rules satisfied: a, b."),
        (
            IntentAllowed,
            {"warnings": [{"rule": "r", "message": "one replica", "fix": "f"}]},
            "Warning: one replica.",
        ),
        (IntentDenied, {}, "Policy denied it (rule). [retention-limit] events may be kept"),
        (IntentDenied, {}, "To fix it: lower retention_hours to 168"),
        (IntentConflicted, {}, "the first one counts"),
        (StepSucceeded, {"changed": True}, "Step topic is done."),
        (StepSucceeded, {"changed": False}, "was as asked for already."),
        (StepSucceeded, {"observed_after_unknown": True}, "found done by epoch 1"),
        (StepFailed, {"permanent": True}, "failed for good (refused)"),
        (StepFailed, {"permanent": False}, "will be tried again"),
        (StepUndone, {"restored": True}, "was put back as it was."),
        (StepUndone, {"was_there": True}, "was removed again."),
        (StepUndone, {"was_there": False}, "had left nothing behind."),
        (ResourceProvisioned, {}, "provisioned (created): topic=payments.dev.orders."),
        (ResourceProvisioned, {"outputs": {}}, "no outputs"),
        (ResourceFailed, {"left": "absent"}, "nothing is left of it."),
        (ResourceFailed, {"left": "previous"}, "as it was before."),
        (ResourceStuck, {}, "remove or rename the topic"),
        (WebhookDelivered, {}, "(attempt 1, status 204)."),
        (DeadLetterRedriven, {"outcome": "failed", "detail": "again"}, "failed (again)"),
    ],
)
def test_a_sentence_tells_what_happened(
    message: type[Message], changed: dict[str, Any], text: str
) -> None:
    (sentence,) = said(record(message, **changed))
    assert text in sentence


def test_the_chain_is_told_oldest_first_and_each_link_once() -> None:
    chain = [
        record(ResourceProvisioned, 3),
        record(ApplyResource, 1),
        record(IntentAllowed, 2),
        record(IntentAllowed, 2, _offset=9),
        record(ApplyResource, 1, _offset=8),
    ]
    found = explain(chain)
    assert [sentence.time[17:19] for sentence in found] == ["01", "02", "03"]
    assert [sentence.offset for sentence in found] == [1, 2, 3]


def test_an_intent_under_the_same_id_is_told_once_whatever_its_body() -> None:
    again = record(ApplyResource, 1, _type="busbar.resource.delete.v1", _offset=5)
    assert len(said(record(ApplyResource, 1), again)) == 1


def test_what_somebody_else_publishes_as_a_fact_is_not_believed() -> None:
    lies = [
        record(ResourceProvisioned, 1, _topic=topics.INTENTS_RESOURCE),
        record(ResourceProvisioned, 2, _topic=topics.FACTS_POLICY),
        record(HeadPublished, 3, _topic=topics.INTENTS_DEAD_LETTER),
    ]
    told = said(*lies)
    assert not any("It is provisioned" in text for text in told)
    assert f"{SOURCE} asked for: {ResourceProvisioned.TYPE}, which is no intent" in told[0]
    assert len(told) == 2


def test_one_bad_record_does_not_hide_the_others() -> None:
    records = [
        record(ResourceProvisioned, 1, generation="many"),
        record(ResourceProvisioned, 2, _data=None, _readable=False),
        record(ApplyResource, 3, _data=None, _readable=False),
        record(ApplyResource, 4, _type="x"),
        record(ApplyResource, 5),
    ]
    assert [sentence.offset for sentence in explain(records)] == [4, 5]


async def test_a_whole_life_is_explained_from_the_copy(bus: Bus) -> None:
    bus.message(ApplyResource.model_validate(ApplyResource.EXAMPLES[0]), "1", timed=False)
    models: tuple[type[Fact], ...] = (IntentAllowed, ResourceProvisioned)
    for number, model in enumerate(models):
        bus.message(model.model_validate(model.EXAMPLES[0]), f"f{number}", relay="r")
    await bus.consume(*reversed(bus.records))
    texts = said(*await bus.copy(resource="payments/dev/event-stream/orders"))
    assert [text.split()[0] for text in texts] == [SOURCE, "Policy", "It"]
