"""While something does not answer, a command says so, and ends in time."""

import json
import time

import pytest

from busbar.cli.shared import connect, limit
from busbar.sdk import RetryPolicy, transport
from unit.sdk.fake_gateway import FakeGateway, operation, problem, resource
from unit.sdk.running import Run

RESOURCE = "payments/dev/event-stream/orders"
DOCUMENT = json.dumps(
    {
        "team": "payments",
        "environment": "dev",
        "promise": "event-stream",
        "name": "orders",
        "spec": {"partitions": 3},
    }
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit, "_GRACE_SECONDS", 0.5)
    monkeypatch.setattr(connect, "_QUIET_SECONDS", 0.0)
    monkeypatch.setattr(transport, "SLOW_SECONDS", 0.05)
    for name in ("_SHORT_RETRY", "_STEADY_RETRY"):
        monkeypatch.setattr(connect, name, RetryPolicy(attempts=2, first=0.01))


@pytest.mark.parametrize(
    "silent", ["/v1/promises", "/v1/events", f"/v1/resources/{RESOURCE}"], ids=str
)
def test_the_timeout_counts_for_everything_that_a_command_waits_for(
    busbar: Run, gateway: FakeGateway, silent: str
) -> None:
    gateway.resources = [resource(RESOURCE)]
    gateway.silent = {silent}
    begun = time.monotonic()
    result = busbar("apply", "-f", "-", "--timeout", "0.2", stdin=DOCUMENT)
    assert time.monotonic() - begun < 10
    assert result.exit_code == 7
    assert "did not end within 0.2 seconds" in result.stderr
    assert "waiting: The gateway at" in result.stderr
    assert not gateway.published


def test_what_was_published_before_the_time_was_up_is_named(
    busbar: Run, gateway: FakeGateway
) -> None:
    event = {"specversion": "1.0", "id": "x", "source": "urn:x"}
    whole = json.dumps({**event, "type": "busbar.resource.apply.v1", "data": json.loads(DOCUMENT)})
    busbar("apply", "-f", "-", "--no-wait", stdin=whole)
    (published,) = gateway.published
    assert published.id == "x"
    operation = busbar("apply", "-f", "-", "--no-wait", "-o", "json", stdin=whole)
    id_ = json.loads(operation.stdout)["operation"]
    gateway.silent = {f"/v1/operations/{id_}"}
    result = busbar("apply", "-f", "-", "--timeout", "0.2", stdin=whole)
    assert result.exit_code == 7
    assert f"operation {id_} continues. Follow it with: busbar operation {id_}" in result.stderr


def test_a_service_that_does_not_answer_is_named_while_the_command_waits_for_it(
    busbar: Run, gateway: FakeGateway
) -> None:
    detail = "policy cannot be reached: it has been silent for 5 seconds"
    gateway.failures = [problem(503, "policy_unavailable", detail, "wait") for _ in range(2)]
    result = busbar("explain", "event-stream")
    assert result.exit_code == 7
    first, *others = result.stderr.splitlines()
    assert first == f"waiting: Refused: {detail}"
    assert others == [f"error: Refused: {detail}", "fix: Wait."]


def test_what_takes_the_usual_time_says_nothing(
    busbar: Run, gateway: FakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "_QUIET_SECONDS", 60.0)
    gateway.failures = [problem(503, "not_ready", "audit is starting", "wait")]
    result = busbar("get")
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_step_that_is_retried_says_why_and_no_line_is_repeated(
    busbar: Run, gateway: FakeGateway
) -> None:
    def failing(detail: str, updated: str) -> dict[str, object]:
        step = {"name": "database", "adapter": "a", "status": "failed", "detail": detail}
        return operation("x", "running", steps=[step], updated=updated)

    down, full = "the cluster is down", "the disk is full"
    gateway.outcomes = [failing(down, "1"), failing(down, "2"), failing(full, "3"), operation("x")]
    result = busbar("apply", "-f", "-", stdin=DOCUMENT)
    line = f"{RESOURCE}: running  database failed:"
    assert result.stderr.splitlines() == [f"{line} {down}", f"{line} {full}"]
    gateway.operations = [failing(full, "3")]
    assert f"database: {full}" in busbar("get", "operations").stdout
