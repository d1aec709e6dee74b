"""Dead letters: listed without what they hold, opened one by one."""

import base64

from busbar.gateway.handlers import UNDECIDED
from busbar.kernel.ids import record_operation
from busbar.messages import topics
from busbar.messages.base import IntentRef
from busbar.messages.codec import kafka as codec
from busbar.messages.delivery import DeadLettered, DeadLetterRedriven, RedriveDeadLetter
from busbar.messages.envelope import Envelope
from busbar.messages.resource import ApplyResource
from busbar.messages.topics import dead_letters
from busbar.runtime.consume.dead_letters import DeadLetterReason, DeadLetters
from busbar.runtime.core.bus import Record
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.store import Store, StoreTransaction
from support.runtime import (
    cipher,
    unreadable,
)
from unit.gateway.conftest import SOURCE, Api, FakeAudit, Platform, app_over, event

REDRIVE = IntentRef(source="urn:team:ops", id="1", type=RedriveDeadLetter.TYPE)


async def dead_letter(store: Store, record: Record, service: str = "policy") -> DeadLettered:
    """Return the fact that ``service`` could not handle ``record``."""
    why = DeadLetterReason("bad_json", "The data is not JSON.")

    async def body(tx: StoreTransaction) -> str:
        return await DeadLetters(service, cipher()).keep(tx, record, why, None)

    id_ = await store.transact(body)
    (found,) = [event for event in await store.events() if event.stream == f"dead-letter/{id_}"]
    return DeadLettered.model_validate_json(found.data)


async def arrive(platform: Platform, *facts: DeadLettered | DeadLetterRedriven) -> None:
    await platform.engine.handle_batch(
        [platform.record(fact, topic=dead_letters(fact.service)) for fact in facts]
    )


def redriven(dead_letter: str, outcome: str = "handled") -> DeadLetterRedriven:
    return DeadLetterRedriven.model_validate(
        {
            **DeadLetterRedriven.EXAMPLES[0],
            "dead_letter": dead_letter,
            "intent": REDRIVE,
            "outcome": outcome,
        }
    )


async def test_a_dead_letter_is_listed_without_what_it_holds_and_shown_with_it(
    api: Api, platform: Platform, store: Store
) -> None:
    fact = await dead_letter(store, Record("t", 3, 42, 0, b"\xff", b"{secret", [("h", None)]))
    await arrive(platform, fact)
    listed = await api.get("/v1/dead-letters")
    (item,) = listed.json["items"]
    assert (item["dead_letter"], item["service"], item["reason"]) == (
        fact.dead_letter,
        "policy",
        "bad_json",
    )
    assert (item["topic"], item["partition"], item["offset"], item["size"]) == ("t", 3, 42, 7)
    assert b"sealed" not in listed.body
    assert b"secret" not in listed.body
    opened = await api.get(f"/v1/dead-letters/{fact.dead_letter}")
    assert opened.json["record"] == {
        "key": "base64:" + base64.b64encode(b"\xff").decode(),
        "headers": [["h", None]],
        "value": "{secret",
    }
    assert "sealed" not in opened.json


async def refused(store: Store, id_: str) -> DeadLettered:
    """Return the fact that policy could not read an intent with this id and no JSON."""
    envelope = Envelope(id=id_, source=SOURCE, type=ApplyResource.TYPE, data={})
    headers, _, key = codec.write(envelope)
    return await dead_letter(store, Record(topics.INTENTS_RESOURCE, 0, 7, 0, key, b"{", headers))


async def test_an_intent_that_cannot_be_read_has_an_operation_of_its_place_that_says_why(
    api: Api, platform: Platform, store: Store
) -> None:
    fact = await refused(store, "intent-1")
    await arrive(platform, fact)
    operation = record_operation(topics.INTENTS_RESOURCE, 0, 7)
    view = (await api.get(f"/v1/operations/{operation}?wait=30")).json
    assert (view["status"], view["reason"]) == ("denied", "bad_json")
    assert view["detail"] == "The data is not JSON."
    assert view["dead_letter"] == fact.dead_letter
    assert view["intent"] == {"source": SOURCE, "id": "intent-1", "type": ApplyResource.TYPE}
    (item,) = (await api.get("/v1/dead-letters")).json["items"]
    assert (item["operation"], item["refused"]) == (view["id"], True)
    assert item["intent"] == view["intent"]


async def test_an_intent_is_accepted_under_the_id_of_one_that_could_not_be_read(
    api: Api, platform: Platform, store: Store
) -> None:
    await arrive(platform, await refused(store, "intent-1"))
    accepted = await api.post(event(1))
    assert (accepted.status, "idempotent-replayed" in accepted.headers) == (202, False)
    view = (await api.get(f"/v1/operations/{accepted.json['operation']}")).json
    assert (view["status"], view["dead_letter"]) == ("received", "")
    listed = (await api.get("/v1/operations")).json["items"]
    assert [one["status"] for one in listed] == ["denied", "received"]


async def test_a_broken_record_does_not_deny_an_intent_that_was_accepted(
    api: Api, platform: Platform, store: Store
) -> None:
    accepted = await api.post(event(1))
    await arrive(platform, await refused(store, "intent-1"))
    view = (await api.get(f"/v1/operations/{accepted.json['operation']}")).json
    assert (view["status"], view["dead_letter"]) == ("received", "")
    async with store.reading() as tx:
        assert len(await tx.documents.find(UNDECIDED, limit=10)) == 1


async def test_with_another_key_a_dead_letter_stays_shut(
    platform: Platform, store: Store, audit: FakeAudit
) -> None:
    fact = await dead_letter(store, unreadable(1))
    await arrive(platform, fact)
    api = Api(app_over(store, audit, key=Cipher(bytes(32))))
    reply = await api.get(f"/v1/dead-letters/{fact.dead_letter}")
    problem = reply.problem()
    assert (reply.status, problem["code"]) == (409, "sealed")
    assert "BUSBAR_DATA_KEY" in problem["fix"]
    assert (await api.get("/v1/dead-letters")).status == 200


async def test_a_dead_letter_that_is_not_a_sealed_record_stays_closed(
    api: Api, platform: Platform, store: Store
) -> None:
    fact = await dead_letter(store, unreadable(1))
    sealed = cipher().encrypt(b"xyz", context=fact.dead_letter)
    for forged in ("AAEC", "no base64!", base64.b64encode(sealed).decode()):
        await arrive(platform, fact.model_copy(update={"sealed": forged}))
        reply = await api.get(f"/v1/dead-letters/{fact.dead_letter}")
        assert (reply.status, reply.problem()["code"]) == (409, "sealed"), forged


async def test_a_dead_letter_whose_record_was_too_large_says_who_has_it(
    api: Api, platform: Platform, store: Store
) -> None:
    fact = await dead_letter(store, unreadable(1))
    await arrive(platform, fact.model_copy(update={"sealed": ""}))
    reply = await api.get(f"/v1/dead-letters/{fact.dead_letter}")
    assert (reply.status, reply.problem()["code"]) == (409, "not_published")
    assert "redrive" in reply.problem()["fix"]


async def test_a_header_whose_name_is_not_utf_8_is_shown(
    api: Api, platform: Platform, store: Store
) -> None:
    fact = await dead_letter(store, Record("t", 3, 42, 0, None, None, [("a\udcff", b"1")]))
    await arrive(platform, fact)
    opened = await api.get(f"/v1/dead-letters/{fact.dead_letter}")
    name = "base64:" + base64.b64encode(b"a\xff").decode()
    assert opened.json["record"]["headers"] == [[name, "1"]]


async def test_a_dead_letter_remembers_how_often_it_was_redriven(
    api: Api, platform: Platform, store: Store
) -> None:
    fact = await dead_letter(store, unreadable(1))
    await arrive(platform, fact, redriven(fact.dead_letter, "failed"), redriven(fact.dead_letter))
    opened = (await api.get(f"/v1/dead-letters/{fact.dead_letter}")).json
    assert [outcome["outcome"] for outcome in opened["redriven"]] == ["failed", "handled"]
    assert opened["record"]["value"] == "{"


async def test_a_missing_dead_letter_does_not_appear_when_it_is_asked_for(
    api: Api, platform: Platform
) -> None:
    await arrive(platform, redriven("mistyped", "unknown_dead_letter"))
    assert (await api.get("/v1/dead-letters")).json["items"] == []
    assert (await api.get("/v1/dead-letters/mistyped")).status == 404


async def test_dead_letters_are_listed_by_service_oldest_first_in_pages(
    api: Api, platform: Platform, store: Store
) -> None:
    facts = [await dead_letter(store, unreadable(number)) for number in range(3)]
    other = await dead_letter(store, unreadable(9), "notifier")
    for fact in (*facts[:2], other, facts[2]):
        await arrive(platform, fact)
    first = (await api.get("/v1/dead-letters?service=policy&limit=2")).json
    await arrive(platform, redriven(facts[2].dead_letter, "failed"))
    rest = (await api.get(f"/v1/dead-letters?service=policy&after={first['next']}")).json
    found = [item["dead_letter"] for item in (*first["items"], *rest["items"])]
    assert found == [fact.dead_letter for fact in facts]
    assert rest["next"] is None
    assert len((await api.get("/v1/dead-letters")).json["items"]) == 4
