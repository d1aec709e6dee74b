"""A signed intent in which anything is changed is not accepted, not lost, and not in a log.

Afterwards its owner can send the intent as it was: nothing has used up its source and id.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from busbar.kernel.ids import operation_id, record_operation
from busbar.messages import topics
from busbar.messages.base import Fact
from busbar.messages.codec import kafka as codec
from busbar.messages.delivery import DeadLettered
from busbar.messages.identity import KeyRegistered, KeyRevoked
from busbar.messages.policy import IntentAllowed, IntentConflicted, IntentDenied
from busbar.messages.signing import SigningKey, sign
from busbar.messages.topics import OWN_SOURCES, SERVICES
from busbar.policy.domain import Promises, RuleBook
from busbar.policy.handlers import Policy
from busbar.runtime.core.bus import Record
from busbar.runtime.store import open_store
from busbar.testing import ManualClock
from support.personal import no_personal_data
from unit.policy.test_callers import FACTS, KEYS, PAYMENTS, SEARCH, Bench, event, record_of

HUSH = "hush-8c1f"
"""In the data of every intent: no denial and no log may repeat it."""

NAMED = {"team": "payments", "environment": "dev", "promise": "event-stream", "name": HUSH}
SIGNATURE = "ce_busbarsig"
FREE = {"ce_sequence", "ce_traceparent", "ce_tracestate"}
"""Headers that a signature does not cover."""

Header = tuple[str, bytes | None]


@dataclass
class Judge:
    """Policy over one store, for all examples of a test."""

    bench: Bench
    loop: asyncio.AbstractEventLoop
    caplog: pytest.LogCaptureFixture
    offset: int = 0
    logs: list[Any] = field(default_factory=list)

    def record(self, signer: str | None = "ci", **about: Any) -> Record:
        """The next record, with an id of its own unless one is given; as it is, it is allowed."""
        self.offset += 1
        named = {"id_": f"intent-{self.offset}", "data": {**NAMED, "spec": {}}, **about}
        return record_of(event(**named), signer, offset=self.offset)

    def again(self, record: Record) -> Record:
        """The same record at the next place."""
        self.offset += 1
        return record._replace(offset=self.offset)

    def judge(self, *records: Record) -> list[Fact]:
        """Return what is recorded about ``records``; what is logged is kept."""
        with structlog.testing.capture_logs() as logs:
            found = self.loop.run_until_complete(self.bench.judge(*records))
        self.logs += logs
        return found

    def learn(self, *facts: Fact) -> None:
        self.loop.run_until_complete(self.bench.learn(*facts))

    @property
    def logged(self) -> str:
        """Everything that was logged."""
        return repr(self.logs) + self.caplog.text


@pytest.fixture
def judge(
    tmp_path: Path,
    catalogue: Promises,
    house_rules: RuleBook,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Judge]:
    caplog.set_level(logging.INFO)
    loop, clock = asyncio.new_event_loop(), ManualClock()
    store = loop.run_until_complete(
        open_store(tmp_path / "policy.db", service="policy", clock=clock)
    )
    made = Judge(
        Bench(store, Policy(catalogue, house_rules, no_personal_data()), clock), loop, caplog
    )
    made.learn(*FACTS)
    yield made
    loop.run_until_complete(store.close())
    loop.close()


def refused(judge: Judge, record: Record) -> str:
    """Return why ``record`` is refused: under its place, without what it asks for."""
    (fact,) = judge.judge(record)
    assert HUSH not in fact.model_dump_json(exclude={"sealed"})
    assert HUSH not in judge.logged
    if isinstance(fact, DeadLettered):
        assert (fact.topic, fact.partition, fact.offset) == record[:3]
        return "unreadable"
    assert isinstance(fact, IntentDenied)
    assert fact.operation == record_operation(*record[:3])
    assert (fact.resource, fact.requested, fact.caller) == (None, None, None)
    return fact.reason


def is_allowed(judge: Judge, record: Record) -> bool:
    (fact,) = judge.judge(record)
    return isinstance(fact, IntentAllowed)


# -- whatever is changed --------------------------------------------------------------------------


def _with(record: Record, at: int, *headers: Header) -> Record:
    return record._replace(headers=[*record.headers[:at], *headers, *record.headers[at + 1 :]])


def value_of_header(data: st.DataObject, record: Record, at: int) -> Record:
    name, old = record.headers[at]
    value = data.draw(st.none() | st.binary(max_size=20) | st.just((old or b"") + b" "))
    assume(value != old)
    return _with(record, at, (name, value))


def name_of_header(data: st.DataObject, record: Record, at: int) -> Record:
    old, value = record.headers[at]
    name = data.draw(st.sampled_from([old.upper(), f"ce_x{old[3:]}", "x-other", *sorted(FREE)]))
    return _with(record, at, (name, value))


def header_lost(_data: st.DataObject, record: Record, at: int) -> Record:
    return _with(record, at)


def header_twice(data: st.DataObject, record: Record, at: int) -> Record:
    name, value = record.headers[at]
    other = data.draw(st.just(value) | st.binary(max_size=20))
    place = data.draw(st.integers(0, len(record.headers)))
    headers = [*record.headers[:place], (name, other), *record.headers[place:]]
    return record._replace(headers=headers)


def header_more(data: st.DataObject, record: Record, at: int) -> Record:
    name = f"ce_{data.draw(st.from_regex(r'[a-z0-9]{1,12}', fullmatch=True))}"
    assume(name not in {*FREE, *(known for known, _ in record.headers)})
    return _with(record, at, record.headers[at], (name, b"x"))


def key_of_record(data: st.DataObject, record: Record, _at: int) -> Record:
    key = data.draw(st.none() | st.binary(max_size=20))
    assume(key != record.key)
    return record._replace(key=key)


def value_of_record(data: st.DataObject, record: Record, _at: int) -> Record:
    other = {**NAMED, "spec": {}, **data.draw(st.sampled_from([{"name": "b"}, {"team": "b"}, {}]))}
    texts = [json.dumps(other).encode(), (record.value or b"") + b" ", b"", b"{}", None]
    value = data.draw(st.sampled_from(texts) | st.binary(max_size=20))
    assume(value != record.value)
    return record._replace(value=value)


def topic_of_record(data: st.DataObject, record: Record, _at: int) -> Record:
    others = sorted(set(topics.INTENTS) - {record.topic})
    return record._replace(topic=data.draw(st.sampled_from(others)))


Mutation = Callable[[st.DataObject, Record, int], Record]
MUTATIONS: Sequence[Mutation] = (
    value_of_header,
    name_of_header,
    header_lost,
    header_twice,
    header_more,
    key_of_record,
    value_of_record,
    topic_of_record,
)


@pytest.mark.parametrize("mutate", MUTATIONS)
def test_a_signed_intent_in_which_anything_is_changed_is_refused_and_can_still_be_sent(
    judge: Judge, mutate: Mutation
) -> None:
    @given(st.data())
    @settings(max_examples=25, deadline=None)
    def whatever_is_changed(data: st.DataObject) -> None:
        record = judge.record(extensions={"expirytime": "2100-01-01T00:00:00Z"})
        at = data.draw(st.integers(0, len(record.headers) - 1))
        refused(judge, mutate(data, record, at))
        assert is_allowed(judge, judge.again(record))

    whatever_is_changed()


# -- who signs it --------------------------------------------------------------------------------


def signed_by(judge: Judge, key: SigningKey, **about: Any) -> Record:
    """The next record, signed with a key of one's own."""
    record = judge.record(None, **about)
    signature = sign(
        key,
        topic=record.topic,
        record_key=record.key,
        headers=record.headers,
        value=record.value,
    )
    return record._replace(headers=[*record.headers, signature])


def test_the_key_of_another_team_an_unknown_and_a_revoked_one_prove_nothing(judge: Judge) -> None:
    owner = judge.record(id_="one")
    assert refused(judge, judge.record("other", id_="one")) == "foreign_source"
    assert refused(judge, signed_by(judge, SigningKey.generate(), id_="one")) == "unknown_key"
    lost = SigningKey.generate()
    public = lost.public
    judge.learn(
        KeyRegistered(key=public.id, principal="ci", public_key=public.text),
        KeyRevoked(key=public.id, principal="ci", reason="lost"),
    )
    assert refused(judge, signed_by(judge, lost, id_="one")) == "revoked_key"
    assert refused(judge, judge.record(None, id_="one")) == "unsigned"
    assert is_allowed(judge, judge.again(owner))


SMALL = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
"""The neutral point: with it as the key, a signature of zeros would fit any message."""


def test_a_key_of_small_order_proves_nothing_even_if_it_was_registered(judge: Judge) -> None:
    key = "ab" * 16
    judge.learn(KeyRegistered(key=key, principal="ci", public_key=SMALL))
    owner = judge.record(id_="one")
    forged = judge.record(None, id_="one")
    text = f"v1.{key}.AQ{'A' * 83}A".encode()
    forged = forged._replace(headers=[*forged.headers, (SIGNATURE, text)])
    assert refused(judge, forged) == "forged"
    assert is_allowed(judge, judge.again(owner))


def test_the_signature_of_one_intent_fits_no_other(judge: Judge) -> None:
    first, second = judge.record(), judge.record()
    headers = [
        (name, dict(first.headers)[name] if name == SIGNATURE else value)
        for name, value in second.headers
    ]
    assert refused(judge, second._replace(headers=headers)) == "forged"
    assert [is_allowed(judge, judge.again(one)) for one in (first, second)] == [True, True]


@pytest.mark.parametrize("topic", sorted(set(topics.INTENTS) - {topics.INTENTS_RESOURCE}))
def test_an_intent_is_not_replayed_under_another_topic(judge: Judge, topic: str) -> None:
    record = judge.record()
    assert is_allowed(judge, record)
    assert refused(judge, judge.again(record)._replace(topic=topic)) == "forged"


def test_an_intent_is_not_replayed_under_another_key_or_source_and_counts_once(
    judge: Judge,
) -> None:
    record = judge.record()
    assert is_allowed(judge, record)
    assert refused(judge, judge.again(record)._replace(key=b"another")) == "forged"
    headers = [(n, SEARCH.encode() if n == "ce_source" else v) for n, v in record.headers]
    assert refused(judge, judge.again(record)._replace(headers=headers)) == "forged"
    assert judge.judge(judge.again(record)) == []


# -- whose source it is ---------------------------------------------------------------------------


@pytest.mark.parametrize("order", [("ci", "other"), ("other", "ci")])
def test_of_two_principals_with_one_source_and_id_its_owner_is_heard(
    judge: Judge, order: tuple[str, str]
) -> None:
    both = {signer: judge.record(signer, id_="same") for signer in order}
    found = {signer: judge.judge(record) for signer, record in both.items()}
    (allowed,), (denied,) = found["ci"], found["other"]
    assert isinstance(allowed, IntentAllowed)
    assert allowed.operation == operation_id(PAYMENTS, "same")
    assert isinstance(denied, IntentDenied)
    assert denied.operation == record_operation(*both["other"][:3])


def test_of_two_principals_that_may_both_use_a_source_the_first_counts(judge: Judge) -> None:
    first = judge.record("ci", id_="same")
    other = judge.record("admin", id_="same", data={**NAMED, "spec": {"partitions": 6}})
    (allowed,), (conflict,) = judge.judge(first), judge.judge(other)
    assert isinstance(allowed, IntentAllowed)
    assert isinstance(conflict, IntentConflicted)
    assert conflict.operation == allowed.operation
    assert conflict.caller is not None
    assert conflict.caller.principal == "admin"


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("signer", ["ci", "admin", "gateway", None])
def test_no_producer_speaks_for_a_service(judge: Judge, service: str, signer: str | None) -> None:
    if signer == service:
        return
    expected = "unsigned" if signer is None else "foreign_source"
    about = {"source": f"{OWN_SOURCES}{service}", "extensions": {"authid": service}}
    assert refused(judge, judge.record(signer, **about)) == expected


@pytest.mark.parametrize("signer", ["ci", "admin", "policy"])
def test_only_the_gateway_names_another_principal(judge: Judge, signer: str) -> None:
    record = judge.record(signer, source=SEARCH, extensions={"authid": "other"})
    # Every source is the administrator's, but not every name.
    expected = "foreign_principal" if signer == "admin" else "foreign_source"
    assert refused(judge, record) == expected


def test_what_the_examples_are_made_of_is_signed(judge: Judge) -> None:
    record = judge.record()
    names = {name for name, _ in record.headers}
    assert {SIGNATURE, "ce_source", "ce_id", "ce_type", "ce_specversion"} <= names
    assert HUSH.encode() in (record.value or b"")
    assert codec.read(record.headers, record.value, record.key).data["name"] == HUSH
    assert KEYS["ci"].public.id.encode() in (dict(record.headers)[SIGNATURE] or b"")
