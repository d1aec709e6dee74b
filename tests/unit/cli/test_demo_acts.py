"""The demo counts each fact once."""

from itertools import permutations

import pytest

from busbar.cli.demo.acts import _facts_of, _only_fact
from busbar.cli.demo.stage import ActFailed, Stage, _describe, _OperationLog
from busbar.messages.base import Message
from busbar.messages.http import AuditRecord
from busbar.messages.narrative import narrate
from busbar.messages.policy import IntentAllowed
from busbar.messages.resource import (
    ApplyResource,
    ResourceDeleted,
    ResourceFailed,
    ResourceQueued,
)


def record(offset: int, id_: str, type_: str = "t") -> AuditRecord:
    return AuditRecord(
        cursor=str(offset),
        topic="facts",
        partition=0,
        offset=offset,
        id=id_,
        type=type_,
        data={"is": id_},
    )


def test_a_fact_that_a_killed_relay_published_twice_counts_once() -> None:
    records = [record(0, "a"), record(1, "b", "other"), record(2, "a")]
    assert _facts_of(records, "t") == [{"is": "a"}]
    assert _only_fact(records, "t") == {"is": "a"}


def test_two_facts_where_there_is_to_be_one_fail_the_act() -> None:
    with pytest.raises(ActFailed, match="happened 2 times"):
        _only_fact([record(0, "a"), record(1, "b")], "t")
    with pytest.raises(ActFailed, match="happened 0 times"):
        _only_fact([], "t")


def test_a_fact_is_described_as_everywhere_else_but_without_the_full_stop() -> None:
    deleted = ResourceDeleted.model_validate(ResourceDeleted.EXAMPLES[0])
    found = record(0, "a", ResourceDeleted.TYPE).model_copy(
        update={"data": deleted.model_dump(mode="json")}
    )
    assert _describe(found) == ("deleted", (narrate(deleted) or "").removesuffix("."))


class _Lines(Stage):
    """A stage that keeps the labels of what is reported."""

    def __init__(self) -> None:
        self.labels: list[str] = []

    def report(self, what: str, sentence: str, *, since: float | None = None) -> None:
        del sentence, since
        self.labels.append(what)


def test_records_are_reported_in_the_order_of_cause_and_effect() -> None:
    models: tuple[type[Message], ...] = (
        ApplyResource,
        IntentAllowed,
        ResourceQueued,
        ResourceFailed,
    )
    records = [
        record(number, str(number), model.TYPE).model_copy(
            update={"topic": model.TOPIC, "data": model.EXAMPLES[0]}
        )
        for number, model in enumerate(models)
    ]
    for order in permutations(range(4)):
        if order.index(2) > order.index(3):
            continue  # one topic keeps its own order
        stage = _Lines()
        log = _OperationLog(stage, 0.0)
        for number in order:
            assert not log.ended
            log.add(records[number])
        assert stage.labels == ["received", "decided", "queued", "failed"]
        assert log.ended


def test_a_fact_of_an_unknown_type_is_shown_by_its_type() -> None:
    _, sentence = _describe(record(0, "a", "busbar.resource.moved.v1"))
    assert "busbar.resource.moved.v1" in sentence
