"""Heads: which of them prove what their services have published."""

import hashlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy import text

from busbar.audit.domain import HeadCheck, Problems, ServiceKeys, SignedCopy
from busbar.audit.handlers import completeness
from busbar.audit.handlers.copy import signed_of
from busbar.messages import topics
from busbar.messages.codec import kafka as codec
from busbar.messages.codec.json import load_json
from busbar.messages.delivery import HeadKeyRevoked, HeadPublished
from busbar.messages.envelope import Envelope
from busbar.messages.identity import KeyRegistered, PrincipalDeclared
from busbar.messages.signing import SigningKey, sign
from busbar.runtime.core.bus import Record
from busbar.runtime.store import Store, StoreTransaction
from support.runtime import fact
from support.sql import run_sql
from unit.audit.conftest import Bus

KEYS = {name: SigningKey.generate() for name in ("policy", "identity", "gateway", "ci", "unknown")}
OLD = SigningKey.generate()
"""A key that policy had before."""


def declared(name: str, kind: str = "service") -> PrincipalDeclared:
    rights: dict[str, Any] = {"teams": [], "sources": [], "permissions": []}
    return PrincipalDeclared.model_validate({"principal": name, "kind": kind, **rights})


def registered(name: str, key: SigningKey) -> KeyRegistered:
    return KeyRegistered(key=key.public.id, principal=name, public_key=key.public.text)


KNOWN: list[PrincipalDeclared | KeyRegistered] = [
    *(declared(name) for name in ("policy", "identity", "gateway")),
    declared("ci", "service-account"),
    *(registered(name, key) for name, key in KEYS.items() if name != "unknown"),
    registered("policy", OLD),
]


class Heads:
    """The topic of heads, as far as policy's heads are in it."""

    def __init__(self, *facts: PrincipalDeclared | KeyRegistered) -> None:
        keys = ServiceKeys()
        for one in facts or KNOWN:
            keys.take(one)
        self.problems = Problems()
        self.check = HeadCheck(keys, self.problems)
        self.offset = 0

    @property
    def kinds(self) -> list[str]:
        return [problem.kind for problem in self.problems.listed]

    def record(
        self,
        message: HeadPublished | HeadKeyRevoked,
        signer: SigningKey | None,
        *,
        source: str = "/busbar/policy",
        partition: int = 0,
    ) -> Record:
        self.offset += 1
        data = message.model_dump(mode="json")
        envelope = Envelope(
            id=f"h{self.offset}", source=source, type=message.TYPE, data=data, key="policy"
        )
        headers, value, key = codec.write(envelope)
        topic = topics.FACTS_HEAD
        if signer is not None:
            own = sign(signer, topic=topic, record_key=key, headers=headers, value=value)
            headers = [*headers, own]
        return Record(topic, partition, self.offset, 0, key, value, headers)

    def head(
        self,
        signer: SigningKey | None,
        sequence: int = 1,
        *,
        source: str = "/busbar/policy",
        partition: int = 0,
    ) -> "Heads":
        head = HeadPublished(relay="policy", sequence=sequence, count=sequence, digest="d")
        record = self.record(head, signer, source=source, partition=partition)
        self.check.take(head, copied(record, source=source))
        return self

    def revoke(self, key: SigningKey, signer: SigningKey | None = None) -> "Heads":
        revoked = HeadKeyRevoked(relay="policy", key=key.public.id)
        source = "/busbar/identity"
        record = self.record(revoked, signer or KEYS["identity"], source=source)
        self.check.revoke(revoked, copied(record, source=source))
        return self


def copied(record: Record, *, source: str = "/busbar/policy") -> SignedCopy:
    """``record`` as audit stores it."""
    return SignedCopy(
        place=(record.topic, record.partition, record.offset),
        source=source,
        digest=digest(record.value),
        data=load_json(record.value or b""),
        signed=signed_of(record),
    )


def digest(value: bytes | None) -> str:
    return hashlib.sha256(value or b"").hexdigest()


def test_a_head_that_its_service_has_signed_is_verified() -> None:
    heads = Heads().head(KEYS["policy"], 1).head(KEYS["policy"], 3).head(KEYS["policy"], 2)
    assert heads.kinds == []
    assert heads.check.counts["policy"].verified == 3
    assert [head.sequence for head in heads.check.newest] == [3]


@pytest.mark.parametrize(
    ("signer", "source", "kind", "named"),
    [
        ("unknown", "/busbar/policy", "head_unknown_key", "by the unknown key"),
        ("gateway", "/busbar/policy", "head_foreign_key", "of gateway"),
        ("ci", "/busbar/policy", "head_foreign_key", "of ci"),
        ("policy", "/busbar/gateway", "head_foreign_key", "its source is /busbar/gateway"),
    ],
)
def test_a_head_of_another_key_is_named_and_not_believed(
    signer: str, source: str, kind: str, named: str
) -> None:
    heads = Heads().head(KEYS["policy"], 1).head(KEYS[signer], 99, source=source)
    assert heads.kinds == [kind]
    (problem,) = heads.problems.listed
    assert problem.detail.startswith("the head of policy at busbar.facts.head/0/2 is signed")
    assert named in problem.detail
    assert [head.sequence for head in heads.check.newest] == [1]


def test_a_key_of_a_team_that_is_called_like_a_service_signs_no_heads() -> None:
    heads = Heads(declared("policy", "bot"), registered("policy", KEYS["policy"]))
    assert heads.head(KEYS["policy"]).kinds == ["head_foreign_key"]


@given(st.data())
def test_a_signed_head_that_is_changed_anywhere_is_not_verified(data: st.DataObject) -> None:
    heads = Heads()
    head = HeadPublished(relay="policy", sequence=7, count=7, digest="d")
    other = head.model_copy(update={"sequence": data.draw(st.integers(8, 99))})
    record = heads.record(head, KEYS["policy"])
    headers = list(record.headers)
    at = data.draw(st.integers(0, len(headers) - 1))
    part = data.draw(st.sampled_from(["header", "lost", "value", "key", "topic", "copy"]))
    one, taken = copied(record), head
    match part:
        case "header":
            name, before = headers[at]
            headers[at] = (name, data.draw(st.text()).encode())
            assume(headers[at][1] != before)
            one = copied(record._replace(headers=headers))
        case "lost":
            del headers[at]
            one = copied(record._replace(headers=headers))
        case "value":
            taken = other
            one = copied(record._replace(value=other.model_dump_json().encode()))
        case "key":
            one = copied(record._replace(key=b"gateway"))
        case "topic":
            one = copied(record._replace(topic=topics.FACTS_POLICY))
        case _:  # the copy alone, beside what was signed
            taken = other
            one = replace(one, data=other.model_dump(mode="json"))
    heads.check.take(taken, one)
    heads.check.close()
    assert heads.check.counts["policy"].verified == 0
    assert len(heads.kinds) == 1


def test_a_revocation_counts_by_its_place_in_the_partition() -> None:
    heads = Heads().head(OLD, 1).revoke(OLD).head(KEYS["policy"], 2)
    assert heads.kinds == []
    heads.head(OLD, 3)
    assert heads.kinds == ["head_revoked_key"]
    assert [head.sequence for head in heads.check.newest] == [2]


def test_a_revocation_that_was_stored_late_counts_by_its_offset() -> None:
    heads = Heads()
    revoked = HeadKeyRevoked(relay="policy", key=OLD.public.id)
    source = "/busbar/identity"
    late = copied(heads.record(revoked, KEYS["identity"], source=source), source=source)
    heads.head(OLD, 1)
    assert heads.kinds == []
    heads.check.revoke(revoked, late)
    assert heads.kinds == ["head_revoked_key"]


@pytest.mark.parametrize("first", ["head", "revocation"])
def test_a_revoked_key_signs_no_heads_in_another_partition(first: str) -> None:
    heads = Heads()
    if first == "head":
        heads.head(OLD, 1, partition=3).revoke(OLD)
    else:
        heads.revoke(OLD).head(OLD, 1, partition=3)
    assert heads.kinds == ["head_revoked_key"]


def test_only_identity_revokes_a_key() -> None:
    heads = Heads().revoke(KEYS["policy"], signer=KEYS["gateway"]).head(KEYS["policy"])
    assert heads.kinds == ["head_foreign_key"]
    assert heads.check.counts["policy"].verified == 1


def test_where_nothing_is_signed_nothing_is_verified_and_nothing_fails() -> None:
    heads = Heads(declared("policy")).head(None, 1).head(None, 2)
    heads.check.close()
    assert heads.kinds == []
    count = heads.check.counts["policy"]
    assert (count.heads, count.verified, count.unsigned) == (2, 0, 2)
    assert [head.sequence for head in heads.check.newest] == [2]


def test_a_service_that_has_a_key_signs() -> None:
    heads = Heads().head(None)
    heads.check.close()
    assert heads.kinds == ["head_not_signed"]


def test_a_service_that_has_signed_once_signs_from_then_on() -> None:
    heads = Heads().head(None, 1).head(KEYS["policy"], 2).head(None, 99)
    heads.check.close()
    assert heads.kinds == ["head_not_signed"]
    assert [head.sequence for head in heads.check.newest] == [2]


def test_an_unsigned_head_does_not_outdo_a_signed_one() -> None:
    heads = Heads().head(None, 99).head(KEYS["policy"], 2)
    assert [head.sequence for head in heads.check.newest] == [2]


# -- over a real store ----------------------------------------------------------------------------


@pytest.fixture
async def signing(bus: Bus) -> Bus:
    """A bus on which identity has announced the keys, and policy has published a fact."""
    for number, one in enumerate(KNOWN):
        bus.message(one, f"identity-{number}", relay="identity")
    bus.message(fact(1), "one", relay="policy")
    return bus


async def test_the_report_counts_the_heads_that_are_verified(signing: Bus, store: Store) -> None:
    signing.head("policy", KEYS["policy"])
    signing.head("identity", KEYS["identity"])
    await signing.consume()
    report = await completeness(store, signing)
    assert report.problems == ()
    assert [(one.relay, one.heads, one.heads_verified) for one in report.relays] == [
        ("identity", 1, 1),
        ("policy", 1, 1),
    ]


async def test_a_head_that_an_earlier_build_has_copied_is_counted_and_proves_nothing(
    signing: Bus, store: Store
) -> None:
    signing.head("policy", KEYS["policy"])
    await signing.consume()

    async def as_before(tx: StoreTransaction) -> None:
        statement = "update events set metadata = json_remove(metadata, '$.signed')"
        await run_sql(tx, text(f"{statement} where type = :type"), {"type": HeadPublished.TYPE})

    await store.transact(as_before)
    signing.message(fact(2), "two", relay="policy")
    signing.head("policy", KEYS["policy"])
    await signing.consume()
    report = await completeness(store, signing)
    assert report.problems == ()
    (policy,) = (one for one in report.relays if one.relay == "policy")
    assert (policy.heads, policy.heads_verified) == (2, 1)


async def test_a_head_that_is_changed_in_the_copy_is_named(signing: Bus, store: Store) -> None:
    signing.head("policy", KEYS["policy"])
    await signing.consume()

    async def change(tx: StoreTransaction) -> None:
        statement = "update events set data = replace(data, :old, :new) where type = :type"
        changes = {"old": '"sequence":1', "new": '"sequence":2', "type": HeadPublished.TYPE}
        await run_sql(tx, text(statement), changes)

    await store.transact(change)
    report = await completeness(store, signing)
    assert [problem.kind for problem in report.problems] == ["head_altered"]
    assert not report.complete


async def test_a_forged_head_hides_no_gap_and_makes_none(signing: Bus, store: Store) -> None:
    signing.head("policy", KEYS["policy"])
    forged = HeadPublished(relay="policy", sequence=99, count=99, digest="0" * 64)
    signing.message(forged, "forged", source="/busbar/policy", signer=KEYS["ci"])
    await signing.consume()
    report = await completeness(store, signing)
    assert [problem.kind for problem in report.problems] == ["head_foreign_key"]
    (policy,) = (one for one in report.relays if one.relay == "policy")
    assert (policy.head, policy.missing, policy.heads, policy.heads_verified) == (1, (), 2, 1)


async def test_a_key_that_is_announced_after_its_first_head_is_known(
    bus: Bus, store: Store
) -> None:
    bus.message(fact(1), "one", relay="policy")
    bus.head("policy", KEYS["policy"])
    for number, one in enumerate(KNOWN):
        bus.message(one, f"identity-{number}", relay="identity")
    await bus.consume()
    assert (await completeness(store, bus)).problems == ()


async def test_a_key_that_another_service_announces_signs_nothing(bus: Bus, store: Store) -> None:
    bus.message(fact(1), "one", relay="policy")
    for number, one in enumerate((declared("policy"), registered("policy", KEYS["ci"]))):
        bus.message(one, f"forged-{number}", relay="gateway")
    bus.head("policy", KEYS["ci"])
    await bus.consume()
    (problem,) = (await completeness(store, bus)).problems
    assert problem.kind == "head_unknown_key"
