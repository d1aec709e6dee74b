import json
from pathlib import Path

import pytest

from busbar.cli.shared import connect
from busbar.kernel.ids import record_operation
from busbar.sdk import RetryPolicy
from unit.sdk.fake_gateway import (
    FakeGateway,
    dead_letter,
    fact,
    operation,
    problem,
    resource,
)
from unit.sdk.running import Run

RESOURCE = "payments/dev/event-stream/orders"
OPERATION = "0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a10"
DOCUMENT = json.dumps(
    {
        "team": "payments",
        "environment": "dev",
        "promise": "event-stream",
        "name": "orders",
        "spec": {"partitions": 3},
    }
)


RECORD = {"key": "k", "headers": [["ce_id", "1"]], "value": "{"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SHORT_RETRY", "_STEADY_RETRY"):
        monkeypatch.setattr(connect, name, RetryPolicy(attempts=1))


def test_applying_shows_the_outcome(busbar: Run, gateway: FakeGateway) -> None:
    gateway.outcomes = [
        operation("x", "running"),
        operation("x", "succeeded", detail="created", outputs={"topic": "payments.dev.orders"}),
    ]
    result = busbar("apply", "-f", "-", stdin=DOCUMENT)
    assert result.exit_code == 0
    assert f"succeeded  {RESOURCE}  created" in result.stdout
    assert "topic: payments.dev.orders" in result.stdout
    assert "running" in result.stderr
    assert gateway.published[0].source.startswith("urn:busbar:cli:")
    assert gateway.published[0].time is not None


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("succeeded", 0),
        ("denied", 3),
        ("expired", 3),
        ("failed", 4),
        ("cancelled", 4),
        ("stuck", 5),
    ],
)
def test_the_exit_code_follows_from_how_an_operation_ended(
    busbar: Run, gateway: FakeGateway, status: str, code: int
) -> None:
    gateway.outcomes = [operation("x", status)]
    assert busbar("apply", "-f", "-", stdin=DOCUMENT).exit_code == code
    assert busbar("delete", RESOURCE).exit_code == code
    assert busbar("operation", OPERATION).exit_code == code
    assert busbar("operation", OPERATION, "--wait").exit_code == code


def test_not_ending_in_time_is_exit_code_5_and_says_how_to_go_on(
    busbar: Run, gateway: FakeGateway
) -> None:
    gateway.outcomes = [operation("x", "running")]
    result = busbar("apply", "-f", "-", "--timeout", "0", stdin=DOCUMENT)
    assert result.exit_code == 5
    assert "--wait" in result.stderr


def test_a_denial_names_every_violation_and_its_fix(busbar: Run, gateway: FakeGateway) -> None:
    violation = {"rule": "retention-limit", "message": "9000 were asked", "fix": "lower it"}
    gateway.outcomes = [operation("x", "denied", reason="rule", violations=[violation])]
    result = busbar("apply", "-f", "-", stdin=DOCUMENT)
    assert "retention-limit: 9000 were asked" in result.stdout
    assert "fix: lower it" in result.stdout


def test_applying_without_waiting_prints_the_operation(busbar: Run, gateway: FakeGateway) -> None:
    result = busbar("apply", "-f", "-", "--no-wait", "-o", "json", stdin=DOCUMENT)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["status"] == "received"
    assert not any("/v1/operations" in request for request in gateway.requests)


def test_the_same_id_twice_is_the_same_operation(busbar: Run, tmp_path: Path) -> None:
    file = tmp_path / "orders.yaml"
    file.write_text(DOCUMENT)
    arguments = ("apply", "-f", str(file), "--id", "deploy-1", "--no-wait", "-o", "json")
    first, again = json.loads(busbar(*arguments).stdout), json.loads(busbar(*arguments).stdout)
    assert again["operation"] == first["operation"]
    assert again["replayed"]


def test_the_same_file_twice_is_two_operations(busbar: Run, gateway: FakeGateway) -> None:
    for _ in range(2):
        busbar("apply", "-f", "-", "--no-wait", stdin=DOCUMENT)
    assert len({event.id for event in gateway.published}) == 2


def test_several_documents_are_all_followed_and_the_worst_outcome_counts(
    busbar: Run, gateway: FakeGateway
) -> None:
    gateway.outcomes = [operation("x", "succeeded"), operation("x", "failed")]
    result = busbar("apply", "-f", "-", "-o", "json", stdin=f"{DOCUMENT}\n---\n{DOCUMENT}")
    assert {view["status"] for view in json.loads(result.stdout)} == {"succeeded", "failed"}
    assert result.exit_code == 4


def test_what_was_published_before_an_error_is_listed(busbar: Run, gateway: FakeGateway) -> None:
    answers = [None, problem(422, "unknown_type", "no such type", "use another")]
    gateway.on_post = lambda _event: answers.pop(0)
    result = busbar("apply", "-f", "-", stdin=f"{DOCUMENT}\n---\n{DOCUMENT}")
    assert result.exit_code == 2
    assert "1 of 2 documents was published" in result.stderr


def test_a_conflict_names_the_document_and_its_id(busbar: Run, tmp_path: Path) -> None:
    def file(partitions: int) -> str:
        second = {**json.loads(DOCUMENT), "name": "second", "spec": {"partitions": partitions}}
        path = tmp_path / "two.yaml"
        path.write_text(f"{DOCUMENT}\n---\n{json.dumps(second)}\n")
        return str(path)

    assert busbar("apply", "-f", file(3), "--id", "deploy-42", "--no-wait").exit_code == 0
    result = busbar("apply", "-f", file(5), "--id", "deploy-42", "--no-wait")
    assert result.exit_code == 3
    name = "payments/dev/event-stream/second"
    assert f"not published: {name}, id deploy-42-2" in result.stderr
    deleted = busbar("delete", "-f", file(5), "--id", "deploy-42", "--yes", "--no-wait")
    assert f"not published: {name}, id deploy-42-1" in deleted.stderr


def test_nothing_is_published_if_one_document_is_wrong(busbar: Run, gateway: FakeGateway) -> None:
    result = busbar("apply", "-f", "-", stdin=f"{DOCUMENT}\n---\nteam: x\n")
    assert result.exit_code == 2
    assert gateway.requests == []


def test_a_file_that_is_not_there_is_a_usage_error(busbar: Run) -> None:
    result = busbar("apply", "-f", "nowhere.yaml")
    assert result.exit_code == 2
    assert "nowhere.yaml" in result.stderr


def test_getting_lists_resources_without_the_deleted_ones(
    busbar: Run, gateway: FakeGateway
) -> None:
    gateway.resources = [resource(RESOURCE), resource("payments/dev/event-stream/old", "deleted")]
    assert RESOURCE in busbar("get").stdout
    assert "old" not in busbar("get", "resources").stdout
    assert "old" in busbar("get", "--all").stdout
    assert "No resources found" in busbar("get", "--team", "other").stdout
    found = json.loads(busbar("get", "resources", "--team", "payments", "-o", "json").stdout)
    assert [view["id"] for view in found] == [RESOURCE]


def test_getting_shows_one_resource_and_one_operation(busbar: Run, gateway: FakeGateway) -> None:
    gateway.resources = [resource(RESOURCE, spec={"partitions": 3})]
    gateway.operations = [operation(OPERATION, "stuck", reason="not_ours")]
    assert '{"partitions": 3}' in busbar("get", RESOURCE).stdout
    assert "not_ours" in busbar("get", OPERATION).stdout
    assert "not_ours" in busbar("get", "operations", "--status", "stuck").stdout
    assert json.loads(busbar("get", RESOURCE, "-o", "json").stdout)["spec"] == {"partitions": 3}


@pytest.mark.parametrize("command", [("get",), ("operation",)])
def test_a_refused_intent_is_found_by_the_place_of_its_record(
    busbar: Run, gateway: FakeGateway, command: tuple[str, ...]
) -> None:
    refused = str(record_operation("busbar.intents.resource", 3, 42))
    gateway.operations = [operation(refused, "denied", reason="bad_json")]
    assert "bad_json" in busbar(*command, "busbar.intents.resource/3/42").stdout
    assert busbar(*command, "busbar.intents.resource/3/43").exit_code == 6


def test_what_is_not_there_is_exit_code_6(busbar: Run) -> None:
    for arguments in (("get", RESOURCE), ("operation", OPERATION), ("why", RESOURCE)):
        result = busbar(*arguments)
        assert result.exit_code == 6
        assert result.stderr.startswith("error: ")
        assert "fix: " in result.stderr


def test_asking_for_nonsense_is_a_usage_error(busbar: Run) -> None:
    assert busbar("get", "nonsense").exit_code == 2
    assert busbar("get", "--environment", "dev").exit_code == 2
    assert busbar("state", "--at", "whenever").exit_code == 2
    assert busbar("delete", "not-a-resource").exit_code == 2
    assert busbar("nonsense").exit_code == 2


def test_watching_prints_facts_of_one_team(busbar: Run, gateway: FakeGateway) -> None:
    gateway.facts = [
        fact(1, id="a", resource=RESOURCE, data={"step": "topic"}),
        fact(2, id="b", resource="other/dev/event-stream/x"),
    ]
    result = busbar("watch", "--no-follow", "--team", "payments")
    assert "step topic" in result.stdout
    assert "other/" not in result.stdout
    lines = busbar("watch", "--no-follow", "-o", "json").stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["a", "b"]


def test_why_prints_every_sentence_with_its_proof(busbar: Run, gateway: FakeGateway) -> None:
    gateway.sentences = [
        {
            "time": "t",
            "text": "Asked for.",
            "topic": "busbar.facts.policy",
            "partition": 3,
            "offset": 7,
        }
    ]
    result = busbar("why", RESOURCE)
    assert "Asked for." in result.stdout
    assert "busbar.facts.policy/3/7" in result.stdout


def test_state_asks_for_a_point_in_time(busbar: Run, gateway: FakeGateway) -> None:
    gateway.resources = [resource(RESOURCE)]
    assert RESOURCE in busbar("state", "--at", "10m ago").stdout
    assert RESOURCE in busbar("state", "--at", "2026-01-31T12:00:00+01:00", RESOURCE).stdout
    assert "at=2026-01-31T11:00:00.000000Z" in gateway.requests[-1]


def test_dead_letters_are_listed_and_shown(busbar: Run, gateway: FakeGateway) -> None:
    record = {"key": "k", "headers": [["ce_id", "1"]], "value": "\x1b[31m[bold]{"}
    gateway.dead_letters = [dead_letter("l-1", record=record)]
    assert "bad_json" in busbar("dead-letters", "list").stdout
    shown = busbar("dead-letters", "show", "l-1").stdout
    assert "ce_id: 1" in shown
    assert "\x1b" not in shown
    assert "[bold]{" in shown


def test_a_dead_letter_is_found_by_the_id_that_its_record_claims(
    busbar: Run, gateway: FakeGateway
) -> None:
    claims = {"source": "urn:team:payments", "id": "order-1", "type": ""}
    gateway.dead_letters = [
        dead_letter("l-1", intent=claims, refused=True, record=RECORD),
        dead_letter("l-2"),
    ]
    listed = busbar("dead-letters", "list", "--id", "order-1").stdout
    assert "l-1" in listed
    assert "l-2" not in listed
    assert "its source and id are what it claims" in busbar("dead-letters", "show", "l-1").stdout


def stored_dead_letter(gateway: FakeGateway) -> None:
    gateway.dead_letters = [dead_letter("l-1")]


@pytest.mark.parametrize("command", ["redrive", "discard"])
@pytest.mark.parametrize(("status", "code"), [("succeeded", 0), ("failed", 4)])
def test_redriving_and_discarding_follow_their_operation(
    busbar: Run, gateway: FakeGateway, command: str, status: str, code: int
) -> None:
    stored_dead_letter(gateway)
    gateway.outcomes = [operation("x", "received"), operation("x", status, detail="done in 2 ms")]
    result = busbar("dead-letters", command, "l-1")
    assert result.exit_code == code
    assert status in result.stdout
    assert "done in 2 ms" in result.stdout
    (event,) = gateway.published
    assert event.type == f"busbar.dead-letter.{command}.v1"
    assert event.data == {"service": "policy", "dead_letter": "l-1"}


def test_redriving_without_waiting_prints_the_operation(busbar: Run, gateway: FakeGateway) -> None:
    stored_dead_letter(gateway)
    result = busbar("dead-letters", "redrive", "l-1", "--no-wait", "-o", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["status"] == "received"


def test_redriving_without_an_outcome_is_exit_code_5(busbar: Run, gateway: FakeGateway) -> None:
    stored_dead_letter(gateway)
    gateway.outcomes = [operation("x", "received")]
    assert busbar("dead-letters", "redrive", "l-1", "--timeout", "0").exit_code == 5


OPERATION = "0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a10"


@pytest.mark.parametrize("action", ["retry", "abandon"])
@pytest.mark.parametrize(("status", "code"), [("succeeded", 0), ("failed", 4)])
def test_an_intervention_names_the_resource_of_the_operation(
    busbar: Run, gateway: FakeGateway, action: str, status: str, code: int
) -> None:
    stuck = operation(OPERATION, "stuck", resource="payments/dev/event-stream/orders")
    gateway.outcomes = [stuck, operation("x", status)]
    result = busbar("operation", action, OPERATION, "--yes")
    assert result.exit_code == code, result.output
    (event,) = gateway.published
    assert event.type == f"busbar.resource.{action}.v1"
    assert (event.data["name"], event.data["operation"]) == ("orders", OPERATION)


@pytest.mark.parametrize(
    "arguments",
    [
        ("operation", "abandon", OPERATION),
        ("release", "payments/dev/event-stream/orders"),
        ("operation", "abandon"),
        ("operation", "destroy", OPERATION),
    ],
)
def test_what_is_not_confirmed_or_not_understood_sends_nothing(
    busbar: Run, gateway: FakeGateway, arguments: tuple[str, ...]
) -> None:
    assert busbar(*arguments).exit_code == 2
    assert gateway.published == []


@pytest.mark.parametrize("action", ["retry", "abandon"])
def test_after_an_intervention_the_next_command_is_named(
    busbar: Run, gateway: FakeGateway, action: str
) -> None:
    intervene = ("operation", action, OPERATION, "--yes")

    def ends_as(status: str) -> None:
        # The operation is looked up first, then the intervention is followed.
        gateway.outcomes = [operation(OPERATION), operation("x", status)]

    ends_as("succeeded")
    result = busbar(*intervene)
    assert f"Follow it with: busbar operation {OPERATION} --wait" in result.stderr
    ends_as("failed")
    result = busbar(*intervene)
    assert result.exit_code == 4
    assert f"fix: `busbar operation {OPERATION}` shows it" in result.stderr
    assert f"`busbar get operations --resource {RESOURCE}`" in result.stderr
    ends_as("failed")
    assert "fix:" not in busbar(*intervene, "-o", "json").stderr


def test_releasing_names_the_resource(busbar: Run, gateway: FakeGateway) -> None:
    gateway.outcomes = [operation("x", "succeeded")]
    assert busbar("release", "payments/dev/event-stream/orders", "--yes").exit_code == 0
    assert gateway.published[0].type == "busbar.resource.release.v1"


def test_unsubscribing_names_the_subscription(busbar: Run, gateway: FakeGateway) -> None:
    gateway.outcomes = [operation("x", "succeeded")]
    assert busbar("unsubscribe", "--team", "payments", "--name", "done").exit_code == 0
    assert gateway.published[0].data == {"team": "payments", "name": "done"}


@pytest.mark.parametrize(
    "arguments",
    [("payments/done",), ("--team", "payments", "--name", "done")],
    ids=["id", "options"],
)
def test_a_subscription_is_ended_by_its_id_or_by_team_and_name(
    busbar: Run, gateway: FakeGateway, arguments: tuple[str, ...]
) -> None:
    gateway.outcomes = [operation("x")]
    assert busbar("unsubscribe", *arguments).exit_code == 0
    assert gateway.published[0].data == {"team": "payments", "name": "done"}


@pytest.mark.parametrize(
    "arguments", [(), ("--team", "payments"), ("payments/a", "--team", "b", "--name", "c")], ids=str
)
def test_exactly_one_subscription_is_ended(
    busbar: Run, gateway: FakeGateway, arguments: tuple[str, ...]
) -> None:
    result = busbar("unsubscribe", *arguments)
    assert result.exit_code == 2
    assert "Write busbar unsubscribe TEAM/NAME" in result.stderr
    assert gateway.published == []


def test_an_incomplete_audit_log_is_exit_code_8(busbar: Run, gateway: FakeGateway) -> None:
    assert busbar("audit", "check").exit_code == 0
    gateway.completeness = {
        "complete": False,
        "relays": [
            {
                "relay": "policy",
                "head": 9,
                "stored": 7,
                "missing": [[3, 4]],
                "digest_matches": False,
            }
        ],
        "problems": [{"kind": "missing_in_store", "detail": "2 events of policy are missing"}],
    }
    result = busbar("audit", "check")
    assert result.exit_code == 8
    assert "3-4" in result.stdout
    assert "2 events of policy are missing" in result.stdout
    assert "The log is not complete." in result.stdout
    assert json.loads(busbar("audit", "check", "-o", "json").stdout)["complete"] is False


def test_the_heads_that_are_verified_are_counted_and_unsigned_ones_are_said(
    busbar: Run, gateway: FakeGateway
) -> None:
    relay = {"head": 9, "stored": 9, "missing": [], "digest_matches": True}
    signed = {**relay, "relay": "policy", "heads": 3, "heads_verified": 3}
    gateway.completeness = {"complete": True, "relays": [signed], "problems": []}
    assert "3 of 3" in busbar("audit", "check").stdout
    unsigned = {**relay, "relay": "gateway", "heads": 2, "heads_verified": 0}
    gateway.completeness["relays"].append(unsigned)
    result = busbar("audit", "check")
    said = " ".join(result.stdout.split())
    assert result.exit_code == 0
    assert "No head of gateway is signed" in said
    assert "The log is complete." in said


def test_a_head_that_is_not_proven_lacks_nothing(busbar: Run, gateway: FakeGateway) -> None:
    problem = {"kind": "head_forged", "detail": "the head of policy at a/0/1 is signed invalidly"}
    gateway.completeness = {"complete": False, "relays": [], "problems": [problem]}
    result = busbar("audit", "check")
    said = " ".join(result.stdout.split())
    assert result.exit_code == 8
    assert "the head of policy at a/0/1 is signed invalidly" in said
    assert "Nothing is missing from the log, but it has heads that prove nothing" in said


def test_a_log_that_only_differs_lacks_nothing_and_a_restore_is_named(
    busbar: Run, gateway: FakeGateway
) -> None:
    relay = {"relay": "policy", "head": 9, "stored": 9, "missing": [], "digest_matches": False}
    problem = {"kind": "digest_differs", "detail": "at least one event was changed"}
    gateway.completeness = {"complete": False, "relays": [relay], "problems": [problem]}
    result = busbar("audit", "check")
    said = " ".join(result.stdout.split())
    assert result.exit_code == 8
    assert "Nothing is missing from the log" in said
    assert "a store that is older than Kafka was restored" in said
    assert "docs/how-to/back-up-and-restore.md" in said
    assert "not complete" not in said
    missing = {"kind": "missing_in_store", "detail": "one event is missing"}
    gateway.completeness["problems"].append(missing)
    assert "The log is not complete." in busbar("audit", "check").stdout
