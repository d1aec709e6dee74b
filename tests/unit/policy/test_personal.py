"""Policy keeps no personal value in clear: not of an intent that it allows, nor of any other."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from busbar.kernel.errors import Reject
from busbar.kernel.personal import SEALED, sealed_in
from busbar.kernel.personal_marks import MARK, marks_of
from busbar.messages import topics
from busbar.messages.delivery import DeadLettered
from busbar.messages.identity import EraseSubject
from busbar.messages.policy import IntentAllowed, IntentDenied
from busbar.messages.request import RequestAllowed
from busbar.policy.domain import Promises, RuleBook
from busbar.policy.domain.promise import Promise, PromiseFile, promise_of
from busbar.policy.handlers import Policy
from busbar.runtime.personal import PersonalData, PromiseMarks
from busbar.runtime.store import open_store
from busbar.testing import ManualClock
from support.personal import personal_data
from unit.policy.test_handlers import NAMED, Bench

ANN = "ann.the.person@example.com"
PERSON = {"type": "string", "pattern": "^[^@]+@[^@]+$", "maxLength": 60, MARK: True}
PROPERTIES = {
    "contact": PERSON,
    "size": {"type": "integer", "default": 1},
    "note": {"type": "string", "enum": ["a", "b"], MARK: True},
}


@pytest.fixture
def file(promise_file: Callable[..., PromiseFile]) -> PromiseFile:
    return promise_file(PROPERTIES)


@pytest.fixture
async def personal(
    tmp_path: Path, clock: ManualClock, file: PromiseFile
) -> AsyncIterator[PersonalData]:
    marks = {name: marks_of(version.spec) for name, version in file.versions.items()}
    found = personal_data(tmp_path / "keys", PromiseMarks({file.name: marks}), clock)
    yield found
    await found.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def bench(
    tmp_path: Path,
    clock: ManualClock,
    file: PromiseFile,
    house_rules: RuleBook,
    personal: PersonalData,
) -> AsyncIterator[Bench]:
    (tmp_path / "store").mkdir()
    store = await open_store(tmp_path / "store" / "policy.db", service="policy", clock=clock)
    offered: dict[str, Promise] = {file.name: promise_of(file)}
    policy = Policy(Promises(offered=offered), house_rules, personal, accepts_unsigned=True)
    yield Bench(store, policy, clock, personal)
    await store.close()
    kept = b"".join(path.read_bytes() for path in (tmp_path / "store").iterdir())
    assert b"payments" in kept
    assert ANN.encode() not in kept, "the value is in the store in clear"


def named(**spec: Any) -> dict[str, Any]:
    return {"promise": "thing", "spec": spec}


async def test_what_is_allowed_has_the_value_sealed(bench: Bench, personal: PersonalData) -> None:
    fact = await bench.one(**named(contact=ANN))
    assert isinstance(fact, IntentAllowed)
    assert fact.spec["size"] == 1
    assert set(fact.spec["contact"]) == {SEALED}
    assert fact.requested["spec"] == {"contact": fact.spec["contact"]}
    opened = await personal.open(fact.spec, "payments")
    assert opened.tree["contact"] == ANN


async def test_what_the_gateway_has_sealed_is_checked_and_stays_as_it_is(
    bench: Bench, personal: PersonalData
) -> None:
    whole = {**NAMED, **named(contact=ANN)}
    sealed = await personal.seal(whole)
    fact = await bench.one(whole=sealed)
    assert isinstance(fact, IntentAllowed)
    assert fact.spec["contact"] == sealed["spec"]["contact"]
    wrong = await personal.seal({**whole, "spec": {"contact": "no address"}})
    denied = await bench.denied("2", whole=wrong)
    assert denied.reason == "invalid_spec"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"contact": ANN.replace("@", " at ")}, "contact must match"),
        ({"contact": ANN * 3}, "contact must have at most 60 characters"),
        ({"note": ANN}, "note must be one of"),
        ({"contact": ANN, "sise": 3}, "sise is not a known property"),
        ({"contact": ANN, "size": "big"}, "size must be a whole number; it is"),
    ],
)
async def test_a_denial_says_what_is_wrong_without_the_value(
    bench: Bench, spec: dict[str, Any], says: str
) -> None:
    fact = await bench.denied(**named(**spec))
    assert fact.reason == "invalid_spec"
    assert any(violation.message.startswith(says) for violation in fact.violations), fact
    text = fact.model_dump_json()
    assert "ann.the.person" not in text
    assert list(sealed_in(fact.requested)) != []


@pytest.mark.parametrize(
    "record",
    [
        {"whole": {"team": "payments", "promise": "thing", "spec": {"contact": ANN}}},
        {"promise": "thing", "version": "v7", "spec": {"contact": ANN}},
        {"promise": "thing", "environment": "nowhere", "spec": {"contact": ANN}},
        {**named(contact=ANN), "extensions": {"expirytime": "soon"}},
        {**named(contact=ANN), "extensions": {"expirytime": "2020-01-01T00:00:00Z"}},
        {**named(contact=ANN), "subject": "payments/dev/thing/another"},
        {**named(contact=ANN), "type_": "busbar.resource.unknown.v1"},
        {**named(contact=ANN), "expected_generation": 7},
        {**named(contact=ANN, size=" " * 300_000)},
    ],
    ids=lambda record: next(iter(set(record) - {"promise", "spec"}), "large"),
)
async def test_whatever_happens_to_an_intent_its_value_is_not_kept_in_clear(
    bench: Bench, record: dict[str, Any]
) -> None:
    fact = await bench.one(**record)
    assert not isinstance(fact, IntentAllowed)
    assert ANN not in fact.model_dump_json()


async def test_an_erased_value_is_denied_and_can_be_sent_again(
    bench: Bench, personal: PersonalData, clock: ManualClock
) -> None:
    whole = {**NAMED, **named(contact=ANN)}
    sealed = await personal.seal(whole)
    subject = (await personal.seal({"subject": ANN}))["subject"]
    clock.advance(1)
    await personal.erase(subject, operation="op")
    fact = await bench.denied(whole=sealed)
    assert fact.violations[0].rule == "personal"
    assert subject in fact.violations[0].message
    assert fact.violations[0].fix == "send the values in clear"


async def test_the_person_to_erase_is_named_by_a_pseudonym_from_then_on(bench: Bench) -> None:
    record = bench.record(
        type_=EraseSubject.TYPE, topic=topics.INTENTS_IDENTITY, whole={"subject": ANN}
    )
    (fact,) = await bench.judge(record)
    assert isinstance(fact, RequestAllowed)
    assert fact.about == fact.requested["subject"]
    assert fact.about.startswith("subject:")
    bad = bench.record(
        "2",
        type_=EraseSubject.TYPE,
        topic=topics.INTENTS_IDENTITY,
        whole={"subject": ANN * 20, "more": 1},
    )
    (denied,) = await bench.judge(bad)
    assert isinstance(denied, IntentDenied)
    odd = bench.record(
        "3", type_=EraseSubject.TYPE, topic=topics.INTENTS_IDENTITY, whole={"subject": [ANN]}
    )
    (denied,) = await bench.judge(odd)
    assert isinstance(denied, IntentDenied)
    assert "[personal]" in denied.violations[0].message


class Broken:
    """Rules with a bug."""

    def __init__(self, rules: RuleBook) -> None:
        self.digest, self.environments = rules.digest, rules.environments

    def evaluate(self, _: Any) -> Any:
        raise RuntimeError("a bug")


async def test_a_record_that_cannot_be_handled_is_unreadable_once_the_person_is_erased(
    bench: Bench,
    personal: PersonalData,
    file: PromiseFile,
    house_rules: RuleBook,
    clock: ManualClock,
) -> None:
    offered = Promises(offered={file.name: promise_of(file)})
    broken = Policy(offered, Broken(house_rules), personal, accepts_unsigned=True)
    buggy = Bench(bench.store, broken, clock, personal)
    (fact,) = await buggy.judge(buggy.record(**named(contact=ANN)))
    assert isinstance(fact, DeadLettered)
    async with bench.store.reading() as tx:
        kept = await buggy.dead_letters.find(tx, fact.dead_letter)
        assert kept is not None
        assert ANN.encode() in (kept.value or b"")
    subject = (await personal.seal({"subject": ANN}))["subject"]
    await personal.erase(subject, operation="op")
    async with bench.store.reading() as tx:
        assert await buggy.dead_letters.knows(tx, fact.dead_letter)
        with pytest.raises(Reject, match="erased"):
            await buggy.dead_letters.find(tx, fact.dead_letter)
