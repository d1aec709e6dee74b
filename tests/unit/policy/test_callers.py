"""The principal of an intent: what is verified, what is refused, and that ids stay free."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.kernel.ids import operation_id, record_operation
from busbar.messages import topics
from busbar.messages.authority import EMPTY, Authority, Key, Principal, evolve
from busbar.messages.base import Fact
from busbar.messages.caller import Caller
from busbar.messages.catalogue import BY_TYPE
from busbar.messages.codec import kafka as codec
from busbar.messages.delivery import DeadLettered, DeadLetterRecovered, RedriveDeadLetter
from busbar.messages.envelope import Envelope
from busbar.messages.identity import (
    KeyRegistered,
    KeyRevoked,
    PrincipalDeclared,
    PrincipalRemoved,
    RegisterKey,
    RevokeKey,
)
from busbar.messages.intervention import ReleaseResource
from busbar.messages.policy import IntentAllowed, IntentDenied
from busbar.messages.resource import ApplyResource, DeleteResource
from busbar.messages.signing import SigningKey, sign
from busbar.policy.domain import Promises, RuleBook, SignedRecord, Unverified, forbidden, identify
from busbar.policy.handlers import Policy
from busbar.runtime.consume.dead_letters import DeadLetters
from busbar.runtime.consume.engine import Engine
from busbar.runtime.consume.parking import PARKED
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Claim, Store, StoreTransaction, open_store
from busbar.runtime.tasks.runner import Work
from busbar.testing import ManualClock
from support.personal import no_personal_data
from support.runtime import cipher

KEYS = {name: SigningKey.generate() for name in ("ci", "other", "gateway", "policy", "admin")}
PAYMENTS, SEARCH = "urn:team:payments", "urn:team:search"

KEY_RIGHTS = frozenset({"key:write"})


def declared(name: str, kind: str, **more: Any) -> PrincipalDeclared:
    rights: dict[str, Any] = {"teams": [], "sources": [], "permissions": [], **more}
    return PrincipalDeclared.model_validate({"principal": name, "kind": kind, **rights})


def registered(name: str, key: SigningKey) -> KeyRegistered:
    public = key.public
    return KeyRegistered(key=public.id, principal=name, public_key=public.text)


FACTS: Sequence[Fact] = [
    declared("ci", "service-account", teams=["payments"], sources=[PAYMENTS]),
    declared("other", "service-account", teams=["search"], sources=[SEARCH]),
    declared("admin", "person", teams=["*"], sources=["*"], permissions=["*"]),
    declared("gateway", "service"),
    declared("policy", "service"),
    *(registered(name, key) for name, key in KEYS.items()),
]
KNOWN = reduce(evolve, FACTS, EMPTY)


def event(
    id_: str = "1",
    *,
    source: str = PAYMENTS,
    type_: str = ApplyResource.TYPE,
    data: Mapping[str, Any] | None = None,
    extensions: Mapping[str, str] | None = None,
) -> Envelope:
    named = {"team": "payments", "environment": "dev", "promise": "event-stream", "name": "orders"}
    whole = data if data is not None else {**named, "spec": {}}
    return Envelope(
        id=id_, source=source, type=type_, extensions=extensions or {}, data=whole, key="k"
    )


def record_of(
    envelope: Envelope,
    signer: str | None,
    *,
    offset: int = 0,
    topic: str = topics.INTENTS_RESOURCE,
) -> Record:
    headers, value, key = codec.write(envelope)
    if signer is not None:
        signature = sign(KEYS[signer], topic=topic, record_key=key, headers=headers, value=value)
        headers = [*headers, signature]
    return Record(topic, 0, offset, 0, key, value, headers)


def identified(record: Record, *, accepts_unsigned: bool = False) -> Caller | Unverified:
    signed = SignedRecord(
        topic=record.topic,
        key=record.key,
        headers=record.headers,
        value=record.value,
        envelope=codec.read(record.headers, record.value, record.key),
    )
    return identify(KNOWN, signed, accepts_unsigned=accepts_unsigned)


def reason(record: Record, *, accepts_unsigned: bool = False) -> str:
    found = identified(record, accepts_unsigned=accepts_unsigned)
    assert isinstance(found, Unverified), found
    assert found.problem
    assert found.fix
    return found.reason


def test_an_intent_is_of_the_principal_that_signs_with_a_source_of_its_own() -> None:
    assert identified(record_of(event(), "ci")) == Caller(
        principal="ci",
        verified="signature",
        key=KEYS["ci"].public.id,
        position=len(FACTS),
    )


def test_the_gateway_signs_for_the_principal_that_it_names() -> None:
    relayed = record_of(event(extensions={"authid": "ci"}), "gateway")
    found = identified(relayed)
    assert isinstance(found, Caller)
    assert (found.principal, found.verified) == ("ci", "relayed")


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (record_of(event(), None), "unsigned"),
        (record_of(event(source=SEARCH), "ci"), "foreign_source"),
        (record_of(event(), "other"), "foreign_source"),
        (record_of(event(extensions={"authid": "admin"}), "other"), "foreign_source"),
        (record_of(event(extensions={"authid": "other"}), "gateway"), "foreign_source"),
        (record_of(event(extensions={"authid": "unknown"}), "gateway"), "unknown_principal"),
        (record_of(event(), "gateway"), "unknown_principal"),
        (record_of(event(source="/busbar/policy"), "admin"), "foreign_source"),
        (record_of(event(source="/busbar/policy"), "gateway"), "foreign_source"),
        (record_of(event(extensions={"authid": "admin"}), "policy"), "foreign_source"),
    ],
)
def test_what_nothing_proves_has_no_principal(record: Record, expected: str) -> None:
    assert reason(record) == expected


@pytest.mark.parametrize(
    ("other", "allowed"),
    [
        (Principal("new", "bot"), True),
        (Principal("peer", "bot", frozenset({"payments"}), ("urn:a",), KEY_RIGHTS), True),
        (Principal("beyond", "bot", frozenset({"payments", "search"})), False),
        (Principal("speaker", "bot", frozenset({"payments"}), ("urn:b",)), False),
        (Principal("eraser", "bot", permissions=frozenset({"subject:erase"})), False),
        (Principal("gateway", "service"), False),
        (Principal("root", "person", frozenset({"*"}), ("*",), frozenset({"*"})), False),
    ],
)
def test_keys_of_a_principal_are_changed_by_those_only_who_have_its_rights(
    other: Principal,
    allowed: bool,  # noqa: FBT001 - a column of the table
) -> None:
    holder = Principal("holder", "bot", frozenset({"payments"}), ("urn:a",), KEY_RIGHTS)
    public = SigningKey.generate().public
    known = Authority(
        principals={one.name: one for one in (holder, other)},
        keys={public.id: Key(public.id, other.name, public.text)},
    )
    caller = Caller(principal="holder", verified="signature", position=1)
    for message in (
        RegisterKey(principal=other.name, public_key=public.text),
        RevokeKey(key=public.id, reason="lost"),
    ):
        found = forbidden(known, caller, message)
        assert (found is None) is allowed, found


def test_a_denial_names_only_principals_that_the_caller_may_know() -> None:
    members = (
        Principal("ci", "bot", frozenset({"payments"})),
        Principal("theirs", "bot", frozenset({"search"})),
        Principal("both", "bot", frozenset({"payments", "search"})),
        Principal("admin", "person", frozenset({"*"}), ("*",), frozenset({"*"})),
    )
    known = Authority(principals={one.name: one for one in members})
    caller = Caller(principal="ci", verified="signature", position=1)
    asked = DeleteResource(team="search", environment="dev", promise="event-stream", name="x")
    found = forbidden(known, caller, asked)
    assert found is not None
    assert found.fix.endswith("it is held by: admin, both")


def test_a_service_signs_intents_of_its_own_source() -> None:
    found = identified(record_of(event(source="/busbar/policy"), "policy"))
    assert isinstance(found, Caller)
    assert found.principal == "policy"


def test_a_service_may_ask_for_another_principal() -> None:
    child = event(source="/busbar/policy", extensions={"authid": "policy", "onbehalfof": "ci"})
    found = identified(record_of(child, "policy"))
    assert isinstance(found, Caller)
    assert (found.principal, found.onbehalfof, found.root) == ("policy", "ci", "ci")


@pytest.mark.parametrize(
    "said",
    [
        {"authid": "ci"},
        {"authtype": "service_account"},
        {"onbehalfof": "ci"},
        {"authid": "ci", "authtype": "service_account", "onbehalfof": "ci"},
    ],
)
def test_an_event_may_say_of_its_signer_what_is_true(said: Mapping[str, str]) -> None:
    found = identified(record_of(event(extensions=said), "ci"))
    assert isinstance(found, Caller)
    assert (found.principal, found.onbehalfof, found.root) == ("ci", None, "ci")


@pytest.mark.parametrize(
    ("said", "source", "signer", "problem"),
    [
        ({"authid": "admin"}, PAYMENTS, "ci", "authid says 'admin', but ci has signed"),
        ({"authtype": "user"}, PAYMENTS, "ci", "authtype says 'user', but ci has signed"),
        ({"authtype": "system"}, PAYMENTS, "admin", "authtype says 'system', but admin has signed"),
        ({"onbehalfof": "admin"}, PAYMENTS, "ci", "onbehalfof says 'admin', but ci has signed"),
        (
            {"authid": "ci", "onbehalfof": "admin"},
            PAYMENTS,
            "gateway",
            "onbehalfof says 'admin', but gateway has signed",
        ),
        (
            {"authid": "admin"},
            "/busbar/policy",
            "policy",
            "authid says 'admin', but policy has signed",
        ),
    ],
)
def test_an_event_that_says_it_is_of_another_principal_is_refused(
    said: Mapping[str, str], source: str, signer: str, problem: str
) -> None:
    found = identified(record_of(event(source=source, extensions=said), signer))
    assert isinstance(found, Unverified)
    assert found.reason == "foreign_principal"
    assert problem in found.problem


def test_for_development_unsigned_intents_are_taken_but_no_forged_ones() -> None:
    found = identified(record_of(event(), None), accepts_unsigned=True)
    assert isinstance(found, Caller)
    assert (found.principal, found.verified) == (None, "unsigned")
    forged = record_of(event(), "ci")._replace(value=b'{"team":"search"}')
    assert reason(forged, accepts_unsigned=True) == "forged"
    own = record_of(event(source="/busbar/policy"), None)
    assert reason(own, accepts_unsigned=True) == "foreign_source"


@given(st.data())
def test_a_signed_record_that_is_changed_anywhere_is_refused(data: st.DataObject) -> None:
    record = record_of(event(extensions={"expirytime": "2027-01-01T00:00:00Z"}), "ci")
    part = data.draw(st.sampled_from(["key", "value", "header", "topic", "lost", "added"]))
    headers = list(record.headers)
    signed = [at for at, (name, _) in enumerate(headers) if name != "ce_busbarsig"]
    match part:
        case "key":
            changed = record._replace(key=data.draw(st.binary().filter(lambda b: b != record.key)))
        case "value":
            changed = record._replace(
                value=data.draw(st.binary().filter(lambda b: b != record.value))
            )
        case "topic":
            changed = record._replace(topic=topics.INTENTS_SUBSCRIPTION)
        case "lost":
            del headers[data.draw(st.sampled_from(signed))]
            changed = record._replace(headers=headers)
        case "added":
            name = data.draw(st.from_regex(r"ce_[a-z0-9]{1,20}", fullmatch=True))
            if name in {"ce_sequence", "ce_traceparent", "ce_tracestate"}:
                return
            changed = record._replace(headers=[*headers, (name, b"x")])
        case _:
            at = data.draw(st.sampled_from(signed))
            name, before = headers[at]
            headers[at] = (name, data.draw(st.binary().filter(lambda b: b != before)))
            changed = record._replace(headers=headers)
    found = identify(
        KNOWN,
        SignedRecord(
            topic=changed.topic,
            key=changed.key,
            headers=changed.headers,
            value=changed.value,
            envelope=event(),
        ),
        accepts_unsigned=False,
    )
    assert isinstance(found, Unverified)


# -- in the service -------------------------------------------------------------------------------


class Bench:
    """Policy's engine, which has folded :data:`FACTS`."""

    def __init__(self, store: Store, policy: Policy, clock: ManualClock) -> None:
        self.store = store
        dead_letters = DeadLetters("policy", cipher())
        self.engine = Engine(policy.service(), store, dead_letters, clock=clock, attempts=2)
        self._learnt = 0

    async def learn(self, *facts: Fact) -> None:
        records = []
        for fact in facts:
            envelope = Envelope(
                id=f"identity-{self._learnt}",
                source="/busbar/identity",
                type=fact.TYPE,
                data=fact.model_dump(mode="json"),
                key="identity",
            )
            headers, value, key = codec.write(envelope)
            records.append(Record(topics.FACTS_IDENTITY, 0, self._learnt, 0, key, value, headers))
            self._learnt += 1
        await self.engine.handle_batch(records)

    async def judge(self, *records: Record) -> list[Fact]:
        before = await self.store.last_position()
        await self.engine.handle_batch(records)
        found = []
        for event_ in await self.store.events(after=before):
            fact = BY_TYPE[event_.type].model_validate_json(event_.data)
            assert isinstance(fact, Fact)
            found.append(fact)
        return found


@pytest.fixture
async def bench(tmp_path: Path, catalogue: Promises, house_rules: RuleBook) -> AsyncIterator[Bench]:
    clock = ManualClock()
    store = await open_store(tmp_path / "policy.db", service="policy", clock=clock)
    made = Bench(store, Policy(catalogue, house_rules, no_personal_data()), clock)
    await made.learn(*FACTS)
    yield made
    await store.close()


async def test_before_the_first_principal_is_known_a_signed_intent_waits(
    tmp_path: Path, catalogue: Promises, house_rules: RuleBook
) -> None:
    clock = ManualClock()
    store = await open_store(tmp_path / "first.db", service="policy", clock=clock)
    made = Bench(store, Policy(catalogue, house_rules, no_personal_data()), clock)
    record = record_of(event(), "ci")
    (kept,) = await made.judge(record)
    assert isinstance(kept, DeadLettered)
    assert "no principal yet" in kept.detail
    await made.learn(*FACTS)
    clock.advance(60)

    async def claim(tx: StoreTransaction) -> list[Claim]:
        lease = timedelta(seconds=30)
        return list(await tx.tasks.claim(PARKED, holder="a", lease=lease, limit=10))

    before = await store.last_position()
    (parked,) = await store.transact(claim)
    await made.engine.parking.resume(Work(parked, store))
    types = [one.type for one in await store.events(after=before)]
    assert types == [IntentAllowed.TYPE, DeadLetterRecovered.TYPE]
    await store.close()


async def test_a_decision_says_who_asked_by_which_key_and_what_was_known(bench: Bench) -> None:
    (allowed,) = await bench.judge(record_of(event(), "ci"))
    assert isinstance(allowed, IntentAllowed)
    assert allowed.caller == Caller(
        principal="ci", verified="signature", key=KEYS["ci"].public.id, position=len(FACTS)
    )


async def test_a_forger_who_sends_the_id_of_another_first_changes_nothing_for_it(
    bench: Bench,
) -> None:
    forged, signed = record_of(event(), None), record_of(event(), "ci", offset=1)
    denied, allowed = await bench.judge(forged, signed)
    assert isinstance(denied, IntentDenied)
    assert denied.reason == "unsigned"
    assert denied.operation == record_operation(forged.topic, forged.partition, forged.offset)
    assert (denied.resource, denied.requested) == (None, None)
    assert isinstance(allowed, IntentAllowed)
    assert allowed.operation == operation_id(PAYMENTS, "1")
    (again,) = await bench.judge(record_of(event(), "other", offset=2))
    assert isinstance(again, IntentDenied)
    assert again.reason == "foreign_source"


async def test_a_decision_is_on_behalf_of_the_verified_principal_alone(bench: Bench) -> None:
    refused = record_of(event("2", extensions={"authid": "admin"}), "ci", offset=1)
    await bench.judge(record_of(event(), "ci"), refused)
    denied, allowed = (await bench.store.events())[-2:]
    assert "onbehalfof" not in json.loads(denied.metadata)
    assert json.loads(allowed.metadata)["onbehalfof"] == "ci"


async def test_an_unverified_record_that_comes_again_is_denied_once(bench: Bench) -> None:
    record = record_of(event(), None)
    assert len(await bench.judge(record)) == 1
    assert await bench.judge(record) == []


async def test_an_intent_is_authenticated_before_it_waits_behind_a_parked_one(
    bench: Bench,
) -> None:
    """Else it would be a dead letter of the operation that it claims."""

    async def park(tx: StoreTransaction) -> None:
        await tx.parked.park("policy", "k", "the dead letter before")

    await bench.store.transact(park)
    (denied,) = await bench.judge(record_of(event(), None))
    assert isinstance(denied, IntentDenied)
    assert denied.reason == "unsigned"
    (waiting,) = await bench.judge(record_of(event("2"), "ci", offset=1))
    assert isinstance(waiting, DeadLettered)
    assert (waiting.reason, waiting.operation) == ("parked", operation_id(PAYMENTS, "2"))


async def test_a_revoked_key_is_refused_from_its_revocation_on(bench: Bench) -> None:
    (before,) = await bench.judge(record_of(event("1"), "ci"))
    assert isinstance(before, IntentAllowed)
    await bench.learn(KeyRevoked(key=KEYS["ci"].public.id, principal="ci", reason="lost"))
    (after,) = await bench.judge(record_of(event("2"), "ci", offset=1))
    assert isinstance(after, IntentDenied)
    assert after.reason == "revoked_key"
    assert "lost" in after.violations[0].message


async def test_a_key_of_a_removed_principal_is_refused(bench: Bench) -> None:
    await bench.learn(PrincipalRemoved(principal="ci"))
    (denied,) = await bench.judge(record_of(event(), "ci"))
    assert isinstance(denied, IntentDenied)
    assert denied.reason == "unknown_principal"


async def test_a_key_that_is_not_known_yet_is_refused_and_the_id_stays_free(bench: Bench) -> None:
    late = SigningKey.generate()
    headers, value, key = codec.write(event())
    signature = sign(
        late, topic=topics.INTENTS_RESOURCE, record_key=key, headers=headers, value=value
    )
    signed = [*headers, signature]
    early = Record(topics.INTENTS_RESOURCE, 0, 0, 0, key, value, signed)
    (denied,) = await bench.judge(early)
    assert isinstance(denied, IntentDenied)
    assert denied.reason == "unknown_key"
    await bench.learn(registered("ci", late))
    (allowed,) = await bench.judge(early._replace(offset=1))
    assert isinstance(allowed, IntentAllowed)


@pytest.mark.parametrize(
    ("signer", "envelope", "missing"),
    [
        ("other", event(source=SEARCH), "resource:write for the team payments"),
        (
            "ci",
            event(
                type_=ReleaseResource.TYPE,
                data={
                    "team": "payments",
                    "environment": "dev",
                    "promise": "event-stream",
                    "name": "orders",
                },
            ),
            "resource:release for the team payments",
        ),
        (
            "ci",
            event(type_=RedriveDeadLetter.TYPE, data={"service": "policy", "dead_letter": "x"}),
            "dead-letter:redrive",
        ),
    ],
)
async def test_a_denial_names_the_missing_permission_and_who_has_it(
    bench: Bench, signer: str, envelope: Envelope, missing: str
) -> None:
    topic = BY_TYPE[envelope.type].TOPIC
    (denied,) = await bench.judge(record_of(envelope, signer, topic=topic))
    assert isinstance(denied, IntentDenied)
    assert denied.reason == "forbidden"
    assert denied.operation == operation_id(envelope.source, "1")
    (violation,) = denied.violations
    assert violation.message == f"{signer} lacks the permission {missing}"
    assert "admin" in violation.fix
    assert denied.caller is not None
    assert denied.caller.principal == signer


async def test_the_log_of_decisions_repeats_nothing_that_an_unverified_record_asks_for(
    bench: Bench,
) -> None:
    named = {"team": "payments", "environment": "dev", "promise": "event-stream", "name": "orders"}
    forged = record_of(event(data={**named, "spec": {"note": "hush"}}), None)
    await bench.judge(forged)
    stored = [json.dumps([one.data, one.metadata]) for one in await bench.store.events(limit=1000)]
    assert not any("hush" in text for text in stored)
