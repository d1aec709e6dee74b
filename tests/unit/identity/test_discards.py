"""A request about a key that is discarded is refused, and changes nothing."""

from pathlib import Path

import pytest

from busbar.identity.handlers import STREAM, Identity
from busbar.messages.authority import EMPTY, evolve
from busbar.messages.base import Intent
from busbar.messages.identity import KeyRefused, RegisterKey, RevokeKey
from busbar.messages.views import evolve_operation
from support.discards import Discarding
from support.personal import no_personal_data
from support.requests import allowed
from support.runtime import SOURCE, record


@pytest.mark.parametrize("asked", [RegisterKey, RevokeKey])
async def test_it_is_refused_as_discarded(tmp_path: Path, asked: type[Intent]) -> None:
    bench = await Discarding.of(Identity(no_personal_data()).service(), tmp_path)
    request = allowed(asked, asked.EXAMPLES[0], source=SOURCE, id_="key")
    data = request.model_dump(mode="json")
    kept = record(0, data, type_=request.TYPE, topic=request.TOPIC, key="payments-ci")
    (fact,), outcome = await bench.discarded(kept)
    assert isinstance(fact, KeyRefused)
    assert fact.operation == outcome.ended == request.operation
    assert (fact.reason, fact.intent) == ("discarded", request.intent)
    view = evolve_operation(None, fact, time="t")
    assert view is not None
    assert (view.status, view.reason) == ("denied", "discarded")
    async with bench.store.reading() as tx:
        assert await tx.load(STREAM, EMPTY, evolve) == EMPTY
    await bench.store.close()
