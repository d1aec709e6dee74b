"""A plan is carried out by the adapters that a test gives it."""

from pathlib import Path

import pytest

from busbar.backends.port import Presence
from busbar.testing import (
    LoseRequest,
    MemoryBackend,
    PromiseNotMet,
    Refuse,
    apply_promise,
)
from busbar.testing.contract import make_call

PROMISE = """
busbar: promise/v1
name: queue
title: Queue
owner: platform
versions:
  v1:
    spec:
      type: object
      additionalProperties: false
      properties:
        size: {type: integer, title: Size, minimum: 1, default: 2}
        retry: {type: boolean, title: Retry, default: false}
    plan:
      - name: main
        adapter: memory
        inputs: {name: "${resource.team}-${resource.name}", size: "${spec.size}"}
      - name: failed
        adapter: memory
        when: "${spec.retry}"
        inputs: {name: "${steps.main.name}-failed"}
    outputs:
      queue: "${steps.main.name}"
      failed: "${steps.failed.name}"
    examples:
      - title: The defaults
        spec: {}
"""


@pytest.fixture
def promise(tmp_path: Path) -> Path:
    file = tmp_path / "queue.yaml"
    file.write_text(PROMISE, encoding="utf-8")
    return file


async def test_every_step_is_applied_and_the_outputs_are_returned(promise: Path) -> None:
    backend = MemoryBackend()
    outputs = await apply_promise(promise, adapters={"memory": backend}, spec={"retry": True})
    assert outputs == {"queue": "payments-example", "failed": "payments-example-failed"}
    assert [thing.inputs for thing in backend.world.things.values()] == [
        {"name": "payments-example", "size": 2},
        {"name": "payments-example-failed"},
    ]


async def test_a_step_whose_condition_is_false_is_left_out(promise: Path) -> None:
    backend = MemoryBackend()
    resource = "shop/prod/queue/orders"
    outputs = await apply_promise(promise, adapters={"memory": backend}, resource=resource)
    assert outputs == {"queue": "shop-orders"}
    owner = "shop/prod/queue/orders#main"
    seen = await backend.observe(make_call({"name": "shop-orders", "size": 2}, owner=owner))
    assert seen.presence is Presence.OURS


async def test_a_spec_that_the_schema_refuses_is_explained(promise: Path) -> None:
    with pytest.raises(PromiseNotMet, match="size"):
        await apply_promise(promise, adapters={}, spec={"size": 0})


async def test_a_missing_adapter_is_named(promise: Path) -> None:
    with pytest.raises(PromiseNotMet, match="needs the adapter memory"):
        await apply_promise(promise, adapters={})


@pytest.mark.parametrize(
    ("fault", "words"),
    [(Refuse(detail="the quota is used up"), "the quota is used up"), (LoseRequest(), "was lost")],
)
async def test_a_step_that_is_not_done_is_explained(
    promise: Path, fault: Refuse | LoseRequest, words: str
) -> None:
    backend = MemoryBackend()
    backend.world.fail(fault)
    with pytest.raises(PromiseNotMet, match=f"The step main .*{words}"):
        await apply_promise(promise, adapters={"memory": backend})
