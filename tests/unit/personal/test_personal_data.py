"""Personal values are sealed per subject; without the subject's key nothing opens them."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from busbar.kernel.errors import ConfigurationError, Reject
from busbar.kernel.personal import ERASED, SEALED, parts_of, sealed_in
from busbar.kernel.personal_marks import Mark
from busbar.messages.resource import ApplyResource
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.core.settings import Settings
from busbar.runtime.personal import PersonalData, PromiseMarks
from busbar.runtime.secrets import secrets_of
from busbar.testing import ManualClock
from support.personal import no_personal_data, personal_data

ANN, BOB = "ann@example.com", "bob@example.com"
MARKS = PromiseMarks(
    {"thing": {"v1": (Mark(("contact",)), Mark(("phone",), "contact"), Mark(("readers", None)))}}
)
APPLY = ApplyResource.TYPE


def intent(team: str = "payments", **spec: Any) -> dict[str, Any]:
    return {"team": team, "environment": "dev", "promise": "thing", "name": "x", "spec": spec}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def personal(tmp_path: Path, clock: ManualClock) -> AsyncIterator[PersonalData]:
    found = personal_data(tmp_path, MARKS, clock)
    yield found
    await found.close()


async def pseudonym(personal: PersonalData, subject: str) -> str:
    data = await personal.seal({"subject": subject})
    return str(data["subject"])


async def test_marked_values_are_sealed_and_nothing_else(personal: PersonalData) -> None:
    data = intent(contact=ANN, title="of Ann", readers=[BOB, None])
    sealed = await personal.seal(data)
    assert data["spec"]["contact"] == ANN
    text = json.dumps(sealed)
    assert ANN not in text
    assert BOB not in text
    assert sealed["spec"]["title"] == "of Ann"
    assert sealed["spec"]["readers"][1] is None
    opened = await personal.open(sealed["spec"], "payments")
    assert opened.tree == data["spec"]
    assert set(opened.values) == {ANN, BOB}
    assert opened.unreadable == ()
    assert ANN not in repr(opened)


async def test_what_has_no_personal_value_stays_the_same_object(personal: PersonalData) -> None:
    for data in (intent(title="no one"), {"promise": "thing"}, {"spec": None}, None):
        assert await personal.seal(data) is data


@pytest.mark.parametrize(
    "data",
    [
        {**intent(contact=ANN), "promise": "thign"},
        {**intent(contact=ANN), "promise": ["thing"]},
        {**intent(contact=ANN), "version": "v9"},
        intent(contact=[ANN]),
        intent(contact={"$personal": ANN}),
        intent(contact={ANN: 1}),
        intent(readers={"a": ANN}),
        {"promise": "thing", "spec": ANN},
        {"promise": "thing", "spec": [{"contact": ANN}]},
        {"subject": ANN, "spec": {"contact": ANN}},
        {"subject": [ANN]},
        {"subject": {ANN: ANN}},
        f'{{"spec": {{"contact": "{ANN}"}}}}',
        [ANN],
    ],
)
async def test_what_no_schema_allows_is_in_clear_nowhere_either(
    personal: PersonalData, data: Any
) -> None:
    sealed = await personal.seal(data)
    assert ANN not in json.dumps(sealed)
    assert await personal.seal(sealed) == sealed, "several services may seal the same intent"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    spec=st.recursive(
        st.one_of(st.none(), st.integers(), st.text()),
        lambda inner: st.one_of(
            st.lists(inner),
            st.dictionaries(st.sampled_from(["contact", "phone", "readers", "other"]), inner),
        ),
        max_leaves=8,
    )
)
async def test_sealing_again_changes_nothing(personal: PersonalData, spec: Any) -> None:
    once = await personal.seal({**intent(), "spec": spec, "subject": spec})
    assert await personal.seal(once) == once


async def test_a_blank_name_stays_blank_so_that_it_is_refused(personal: PersonalData) -> None:
    assert await personal.seal({"subject": " \t"}) == {"subject": ""}


async def test_without_personal_fields_no_key_is_looked_up() -> None:
    data = intent(contact=ANN)
    assert await no_personal_data().seal(data) is data
    assert (await no_personal_data().open(data, "payments")).tree is data
    assert await no_personal_data().seal_record(b"record", data) == b"record"


async def test_an_unknown_version_is_sealed_by_every_version(personal: PersonalData) -> None:
    sealed = await personal.seal({**intent(contact=ANN), "version": "v9"})
    assert list(sealed_in(sealed)) != []


async def test_the_same_intent_is_sealed_as_the_same_bytes_by_every_process(
    tmp_path: Path, clock: ManualClock, personal: PersonalData
) -> None:
    other = personal_data(tmp_path, MARKS, clock)
    first = await personal.seal(intent(contact=ANN))
    assert await other.seal(intent(contact=ANN)) == first
    assert await personal.seal(first) == first, "what is sealed is not sealed again"
    await other.close()


async def test_a_value_opens_for_its_team_only(personal: PersonalData) -> None:
    sealed = await personal.seal(intent(contact=ANN))
    stolen = await personal.open(sealed["spec"], "search")
    assert stolen.values == {}
    subject = (await pseudonym(personal, ANN)).removeprefix("subject:")
    assert stolen.tree == {"contact": {ERASED: subject}}
    assert stolen.unreadable == (subject,)


async def test_a_changed_value_does_not_open(personal: PersonalData) -> None:
    sealed = await personal.seal(intent(contact=ANN, readers=[BOB]))
    subject, ciphertext = parts_of(sealed["spec"]["contact"][SEALED])
    other, _ = parts_of(sealed["spec"]["readers"][0][SEALED])
    flipped = ("B" if ciphertext[0] == "A" else "A") + ciphertext[1:]
    for text in (f"v1.{subject}.{flipped}", f"v1.{other}.{ciphertext}"):
        assert (await personal.open([{SEALED: text}], "payments")).values == {}


async def test_a_name_is_the_same_person_in_every_spelling(personal: PersonalData) -> None:
    expected = await pseudonym(personal, "Ann@Example.com ")
    assert await pseudonym(personal, ANN) == expected
    assert await pseudonym(personal, expected) == expected, "a pseudonym stays what it is"
    assert await pseudonym(personal, BOB) != expected
    assert "ann" not in expected


async def test_an_erasure_takes_everything_about_the_person_and_nothing_of_others(
    personal: PersonalData,
) -> None:
    sealed = await personal.seal(intent(contact=ANN, phone="555-0100", readers=[BOB]))
    subject = await pseudonym(personal, ANN)
    assert await personal.erase(subject, operation="op-1")
    opened = await personal.open(sealed["spec"], "payments")
    assert opened.tree["readers"] == [BOB]
    gone = {ERASED: subject.removeprefix("subject:")}
    assert (opened.tree["contact"], opened.tree["phone"]) == (gone, gone)


async def test_an_erasure_can_be_repeated_and_takes_no_later_data(
    personal: PersonalData, clock: ManualClock
) -> None:
    subject = await pseudonym(personal, ANN)
    assert not await personal.erase(subject, operation="op-0"), "there was nothing yet"
    await personal.seal(intent(contact=ANN))
    assert await personal.erase(subject, operation="op-1")
    clock.advance(1)
    later = await personal.seal(intent(contact=ANN))
    assert await personal.erase(subject, operation="op-1"), "as if it were the first time"
    assert (await personal.open(later["spec"], "payments")).tree["contact"] == ANN
    assert await personal.erase(subject, operation="op-2")
    assert (await personal.open(later["spec"], "payments")).values == {}


async def test_a_record_from_before_the_erasure_brings_nothing_back(
    personal: PersonalData, clock: ManualClock
) -> None:
    await personal.seal(intent(contact=ANN))
    published = clock.now()
    clock.advance(1)
    await personal.erase(await pseudonym(personal, ANN), operation="op-1")
    clock.advance(1)
    late = await personal.seal(intent(contact=ANN), at=published)
    assert ANN not in json.dumps(late)
    assert (await personal.open(late["spec"], "payments")).values == {}
    after = await personal.seal(intent(contact=ANN), at=clock.now())
    assert (await personal.open(after["spec"], "payments")).tree["contact"] == ANN
    late = await personal.seal(intent(contact=ANN), at=published - timedelta(days=1))
    assert (await personal.open(late["spec"], "payments")).values == {}


async def test_a_record_with_personal_values_is_encrypted_as_a_whole(
    personal: PersonalData,
) -> None:
    data = intent(contact=ANN, readers=[BOB])
    sealed = await personal.seal_record(ANN.encode(), data)
    assert ANN.encode() not in sealed
    assert await personal.open_record(sealed) == ANN.encode()
    assert await personal.open_record(b"as it is") == b"as it is"
    await personal.erase(await pseudonym(personal, BOB), operation="op-1")
    with pytest.raises(Reject, match="erased"):
        await personal.open_record(sealed)


async def test_the_keys_are_encrypted_with_the_data_key_and_move_to_a_new_one(
    tmp_path: Path, clock: ManualClock, personal: PersonalData
) -> None:
    sealed = await personal.seal(intent(contact=ANN))
    await personal.close()
    new, home = Cipher(b"n" * 32), Settings(home=tmp_path)
    other = personal_data(tmp_path, MARKS, clock, cipher=new)
    with pytest.raises(ConfigurationError, match="another data key"):
        await other.open(sealed["spec"], "payments")
    await other.close()
    async with secrets_of(home, cipher=new, clock=clock) as store:
        await store.rekey(Cipher(bytes(32)))
    other = personal_data(tmp_path, MARKS, clock, cipher=new)
    assert (await other.open(sealed["spec"], "payments")).tree["contact"] == ANN
    again = await other.seal(intent(contact=ANN))
    assert again == sealed, "the person has the same pseudonym under the new data key"
    await other.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(text=st.text(st.characters(codec=None)), team=st.from_regex("[a-z]{1,9}", fullmatch=True))
async def test_any_text_can_be_sealed_and_opened(
    personal: PersonalData, text: str, team: str
) -> None:
    sealed = await personal.seal(intent(team, contact=text))
    assert sealed["spec"]["contact"] != text
    opened = await personal.open(sealed["spec"], team)
    assert opened.tree["contact"] == text
