"""Adapters get personal values in clear; what comes back from them is kept without them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from busbar.backends.port import (
    BackendUnavailable,
    Call,
    Fencing,
    Observation,
    Outcome,
    Presence,
    Result,
)
from busbar.kernel.personal import MASK, SEALED
from busbar.kernel.personal_marks import Mark
from busbar.provisioner.adapters import PersonalBackend, act, observe
from busbar.provisioner.domain.commands import Ensure
from busbar.runtime.personal import PersonalData, PromiseMarks
from busbar.runtime.store import StoreUnavailable
from busbar.testing import ManualClock
from support.personal import personal_data

ANN = "ann@example.com"
MARKS = PromiseMarks({"thing": {"v1": (Mark(("contact",)),)}})


class Adapter:
    """Keeps what it was given, and fails with ``error``."""

    fencing = Fencing.CONDITIONAL

    def __init__(self) -> None:
        self.given: list[Any] = []
        self.error: Exception | None = None

    async def observe(self, call: Call) -> Observation:
        self._take(call)
        contact = call.inputs["contact"]
        outputs = {"contact": contact, "url": f"mailto:{contact}", contact: 1, "number": 7}
        return Observation(
            presence=Presence.OURS, outputs=outputs, detail=f"it belongs to {contact}"
        )

    async def apply(self, call: Call) -> Outcome:
        self._take(call)
        detail = f"the contact {call.inputs['contact']} is refused"
        return Outcome.not_done("refused", detail, permanent=True)

    async def remove(self, call: Call) -> Outcome:
        self._take(call)
        return Outcome.done()

    async def close(self) -> None:
        pass

    def _take(self, call: Call) -> None:
        self.given.append(call.inputs)
        if self.error is not None:
            raise self.error


@pytest.fixture
async def personal(tmp_path: Path) -> AsyncIterator[PersonalData]:
    found = personal_data(tmp_path, MARKS, ManualClock())
    yield found
    await found.close()


@pytest.fixture
def adapter() -> Adapter:
    return Adapter()


@pytest.fixture
async def call(personal: PersonalData) -> Call:
    data = {"team": "payments", "promise": "thing", "spec": {"contact": ANN}}
    sealed = await personal.seal(data)
    inputs = {"contact": sealed["spec"]["contact"], "size": 1}
    owner = "payments/dev/thing/x#step"
    return Call(owner=owner, inputs=inputs, operation_key="k", epoch=1, timeout=5)


async def test_an_adapter_gets_the_value_and_the_observation_has_it_sealed(
    adapter: Adapter, personal: PersonalData, call: Call
) -> None:
    seen = await observe(PersonalBackend(adapter, personal), call, "an adapter")
    assert adapter.given == [{"contact": ANN, "size": 1}]
    assert isinstance(seen, Observation)
    assert seen.outputs == {
        "contact": call.inputs["contact"],
        "url": f"mailto:{MASK}",
        MASK: 1,
        "number": 7,
    }
    assert seen.detail == f"it belongs to {MASK}"


async def test_an_outcome_does_not_repeat_the_value(
    adapter: Adapter, personal: PersonalData, call: Call
) -> None:
    outcome = await PersonalBackend(adapter, personal).apply(call)
    assert outcome.detail == f"the contact {MASK} is refused"
    assert (await PersonalBackend(adapter, personal).remove(call)).result is Result.DONE


@pytest.mark.parametrize("error", [RuntimeError(ANN), OSError(ANN), BackendUnavailable(ANN)])
async def test_an_error_of_an_adapter_does_not_repeat_the_value(
    adapter: Adapter,
    personal: PersonalData,
    call: Call,
    error: Exception,
    capsys: pytest.CaptureFixture[str],
) -> None:
    adapter.error = error
    backend = PersonalBackend(adapter, personal)
    seen = await observe(backend, call, "an adapter")
    assert isinstance(seen, Outcome)
    outcome = await act(backend, Ensure("step", "an adapter", call.inputs, "k", 30), call)
    assert ANN not in f"{seen} {outcome} {capsys.readouterr()}"


async def test_an_erased_value_ends_the_call_before_the_adapter(
    adapter: Adapter, personal: PersonalData, call: Call
) -> None:
    subject = (await personal.seal({"subject": ANN}))["subject"]
    await personal.erase(subject, operation="op")
    backend = PersonalBackend(adapter, personal)
    for outcome in (
        await observe(backend, call, "an adapter"),
        await backend.apply(call),
        await backend.remove(call),
    ):
        assert isinstance(outcome, Outcome)
        assert (outcome.result, outcome.reason, outcome.permanent) == (
            Result.NOT_DONE,
            "erased",
            True,
        )
        assert subject in outcome.detail
    assert adapter.given == []


async def test_while_the_keys_cannot_be_reached_the_call_is_tried_again(
    adapter: Adapter, personal: PersonalData, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> None:
        raise StoreUnavailable("the disk is gone")

    monkeypatch.setattr(personal, "open", fail)
    backend = PersonalBackend(adapter, personal)
    for outcome in (await observe(backend, call, "an adapter"), await backend.apply(call)):
        assert isinstance(outcome, Outcome)
        assert (outcome.reason, outcome.permanent) == ("unavailable", False)


async def test_inputs_without_personal_values_are_passed_on_as_they_are(
    adapter: Adapter, personal: PersonalData, call: Call
) -> None:
    plain = Call(owner=call.owner, inputs={"contact": "x"}, operation_key="k", epoch=1, timeout=5)
    seen = await PersonalBackend(adapter, personal).observe(plain)
    assert adapter.given[0] is plain.inputs
    assert seen.outputs["url"] == "mailto:x"
    assert SEALED not in str(seen)
