"""Nothing that a principal reads has anything of another team in it, after any history."""

import tempfile
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from busbar.messages.base import Message
from busbar.messages.catalogue import FACTS, INTENTS
from busbar.messages.delivery import HeadPublished
from busbar.messages.resource import ApplyResource
from busbar.runtime.store import open_store
from busbar.testing import ManualClock
from support.runtime import BEGIN
from unit.audit.conftest import Bus
from unit.gateway.conftest import Api, Platform, app_over
from unit.gateway.principals import Caller, declared, join
from unit.gateway.test_reads import READS, needed, plain, reads
from unit.gateway.two_teams import (
    MINE,
    THEIRS,
    UNKNOWN,
    AuditInProcess,
    World,
    dead_letter_of,
    event_of,
    example_of,
    fill,
    filters,
    operation_of,
    parameters,
    source_of,
)

NUMBERS = (1, 2)
MESSAGES: list[type[Message]] = [
    *(fact for fact in FACTS if fact is not HeadPublished),
    *INTENTS,
]
SAID = st.tuples(
    st.sampled_from(MESSAGES),
    st.integers(min_value=0, max_value=2),
    st.sampled_from([MINE, THEIRS]),
    st.sampled_from(NUMBERS),
)
SECRETS = (
    THEIRS,
    *(operation_of(THEIRS, number) for number in NUMBERS),
    *(dead_letter_of(THEIRS, number) for number in NUMBERS),
    *(event_of(THEIRS, number) for number in NUMBERS),
)


async def everything(caller: Caller, api: Api) -> dict[str, bytes]:
    """The answers to every request of the caller that names nothing of another team."""
    found: dict[str, bytes] = {}
    for path, operation in reads(api).items():
        if READS[path] == "open":
            continue
        for number in NUMBERS:
            target = fill(path, MINE, number)
            own = filters(MINE, number)
            queries = {
                needed(path, MINE),
                *(f"?{n}={own[n]}" for n in parameters(operation) & set(own)),
            }
            queries |= {"?after=now"} if path == "/v1/facts" else set()
            queries |= {"?status=denied"} if path == "/v1/operations" else set()
            queries |= {"?service=provisioner"} if path == "/v1/dead-letters" else set()
            queries |= {f"?resource={own['resource']}&last=2"} if "explain" in path else set()
            for query in queries:
                found[target + query] = (await caller.get(target + query)).body
    return found


async def about_theirs(caller: Caller, *, claimed: bool) -> None:
    """Requests about things of the other team are answered as if they did not exist."""
    for path, kind in READS.items():
        if kind != "team" or (claimed and path == "/v1/audit/explain"):
            continue
        for number in NUMBERS:
            theirs, unknown = [
                await caller.get(fill(path, team, number) + needed(path, team, number))
                for team in (THEIRS, UNKNOWN)
            ]
            if "{" in path or needed(path, THEIRS):
                assert theirs.status == 404, (path, theirs)
                assert plain(theirs.body, THEIRS, number) == plain(unknown.body, UNKNOWN, number), (
                    path
                )


@settings(max_examples=20, deadline=None, phases=[Phase.generate])
@given(history=st.lists(SAID, min_size=1, max_size=25), claims=st.booleans())
async def test_no_answer_has_anything_of_another_team(
    history: list[tuple[type[Message], int, str, int]], *, claims: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock = ManualClock(BEGIN)
        store = await open_store(Path(folder) / "gateway.db", service="gateway", clock=clock)
        audit_store = await open_store(Path(folder) / "audit.db", service="audit", clock=clock)
        try:
            audit = AuditInProcess(audit_store, Bus(audit_store, clock))
            api = Api(app_over(store, audit))
            platform = Platform(store, clock)
            world = World(platform, audit_store, clock)
            reader = await join(platform, api, f"{MINE}-reader", MINE)
            world.says(declared(f"{THEIRS}-ci", [THEIRS]), THEIRS)
            for model, example, team, number in history:
                world.says(example_of(model, example, team, number), team)
            if claims:  # one team claims the source and id of an intent of the other
                mine = example_of(ApplyResource, 0, MINE, 1)
                claimed = {"source": source_of(THEIRS), "id": f"{THEIRS}-1"}
                world.says(mine, MINE, **claimed)
                theirs = example_of(ApplyResource, 0, THEIRS, 1)
                world.says(theirs, THEIRS, **claimed)
            await world.read()
            for target, answer in (await everything(reader, api)).items():
                body = forget_claim(answer) if claims and "audit" in target else answer
                for secret in SECRETS:
                    assert secret.encode() not in body, (target, secret, body)
            await about_theirs(reader, claimed=claims)
        finally:
            await store.close()
            await audit_store.close()


def forget_claim(body: bytes) -> bytes:
    """The answer without what the reader's own record has claimed: it wrote that itself."""
    claimed = (operation_of(THEIRS, 1), source_of(THEIRS), f"{THEIRS}-1")
    for one in claimed:
        body = (
            body.replace(f'"{one}"'.encode(), b'""')
            .replace(f"{one} requested".encode(), b"")
            .replace(f"(intent {one})".encode(), b"")
        )
    return body
