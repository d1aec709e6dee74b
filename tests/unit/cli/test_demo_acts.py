"""What the demo counts."""

import pytest

from busbar.cli.demo.acts import _facts_of, _only_fact
from busbar.cli.demo.stage import ActFailed
from busbar.messages.http import AuditRecord


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
