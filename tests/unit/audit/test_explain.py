"""The history of an operation: every message that concerns one has a sentence."""

from typing import Any

import pytest

from busbar.audit.domain import AuditRecord, explain
from busbar.messages import topics
from busbar.messages.base import Fact, Message
from busbar.messages.catalogue import FACTS, INTENTS
from busbar.messages.delivery import DeadLetterRedriven, HeadPublished
from busbar.messages.narrative import SILENT
from busbar.messages.notification import WebhookDelivered
from busbar.messages.policy import IntentAllowed, IntentConflicted, IntentDenied
from busbar.messages.resource import (
    ApplyResource,
    ResourceDeleted,
    ResourceFailed,
    ResourceProvisioned,
    ResourceStuck,
    StepFailed,
    StepSucceeded,
    StepUndone,
)
from unit.audit.conftest import SOURCE, Bus


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
def test_every_message_that_is_not_silent_has_a_sentence(message: type[Message]) -> None:
    found = explain([record(message)])
    if message in SILENT:
        assert found == []
        return
    (sentence,) = found
    assert sentence.text[0].isupper() or sentence.text.startswith(SOURCE)
    assert sentence.text.endswith((".", "again"))
    assert "{" not in sentence.text
    assert "None" not in sentence.text
    assert (sentence.partition, sentence.offset, sentence.operation) == (2, 1, "o")


@pytest.mark.parametrize(
    ("message", "changed", "text"),
    [
        (ApplyResource, {}, f"{SOURCE} requested: apply of payments/dev/event-stream/orders"),
        (IntentAllowed, {"rules": []}, "…); no rule applied."),
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
        (StepSucceeded, {"changed": False}, "was already as requested."),
        (StepSucceeded, {"observed_after_unknown": True}, "found done by epoch 1"),
        (StepFailed, {"permanent": True}, "failed permanently (refused)"),
        (StepFailed, {"permanent": False}, "will be retried"),
        (StepUndone, {"restored": True}, "was restored."),
        (StepUndone, {"was_there": True}, "was removed."),
        (StepUndone, {"was_there": False}, "had left nothing to remove."),
        (ResourceProvisioned, {}, "provisioned (created): topic=payments.dev.orders."),
        (ResourceProvisioned, {"outputs": {}}, "no outputs"),
        (ResourceFailed, {"left": "absent"}, "nothing of it is left."),
        (ResourceFailed, {"left": "previous"}, "as it was before."),
        (ResourceDeleted, {}, "It is deleted; nothing of it is left."),
        (ResourceDeleted, {"existed": False}, "There was nothing to delete."),
        (ResourceStuck, {}, "Remove or rename the topic"),
        (WebhookDelivered, {}, "(attempt 1, status 204)."),
        (DeadLetterRedriven, {"outcome": "failed", "detail": "again"}, "failed (again)"),
    ],
)
def test_a_sentence_says_what_happened(
    message: type[Message], changed: dict[str, Any], text: str
) -> None:
    (sentence,) = said(record(message, **changed))
    assert text in sentence


def test_the_chain_is_oldest_first_with_each_link_once() -> None:
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


def test_an_intent_under_the_same_id_appears_once_whatever_its_body() -> None:
    again = record(ApplyResource, 1, _type="busbar.resource.delete.v1", _offset=5)
    assert len(said(record(ApplyResource, 1), again)) == 1


def test_a_fact_outside_its_own_topic_is_not_believed() -> None:
    lies = [
        record(ResourceProvisioned, 1, _topic=topics.INTENTS_RESOURCE),
        record(ResourceProvisioned, 2, _topic=topics.FACTS_POLICY),
        record(HeadPublished, 3, _topic=topics.INTENTS_DEAD_LETTER),
    ]
    sentences = said(*lies)
    assert not any("It is provisioned" in text for text in sentences)
    assert f"{SOURCE} requested: {ResourceProvisioned.TYPE}, which is not an intent" in sentences[0]
    assert sentences[1].endswith("which is ignored: the type does not belong on this topic.")
    assert f"{SOURCE} requested: {HeadPublished.TYPE}, which is not an intent" in sentences[2]
    assert len(sentences) == 3


def test_a_fact_that_this_version_cannot_read_is_shown_as_such() -> None:
    records = [
        record(ResourceProvisioned, 1, _type="busbar.resource.moved.v1"),
        record(ResourceProvisioned, 2, generation="many"),
    ]
    unknown, misfit = said(*records)
    assert unknown.startswith(f"{SOURCE} published busbar.resource.moved.v1")
    assert unknown.endswith("this version of busbar does not know the type.")
    assert misfit.startswith(f"{SOURCE} published {ResourceProvisioned.TYPE}")
    assert misfit.endswith("its data does not fit the type.")


def test_one_bad_record_does_not_hide_the_others() -> None:
    records = [
        record(ResourceProvisioned, 1, generation="many"),
        record(ResourceProvisioned, 2, _data=None, _readable=False),
        record(ApplyResource, 3, _data=None, _readable=False),
        record(ApplyResource, 4, _type="x"),
        record(ApplyResource, 5),
    ]
    assert [sentence.offset for sentence in explain(records)] == [1, 4, 5]


async def test_a_whole_life_is_explained_from_the_copy(bus: Bus) -> None:
    bus.message(ApplyResource.model_validate(ApplyResource.EXAMPLES[0]), "1", timed=False)
    models: tuple[type[Fact], ...] = (IntentAllowed, ResourceProvisioned)
    for number, model in enumerate(models):
        bus.message(model.model_validate(model.EXAMPLES[0]), f"f{number}", relay="r")
    await bus.consume(*reversed(bus.records))
    texts = said(*await bus.copy(resource="payments/dev/event-stream/orders"))
    assert [text.split()[0] for text in texts] == [SOURCE, "Policy", "It"]
