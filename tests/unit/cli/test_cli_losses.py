"""A change that deletes data says so and asks; Ctrl-C says how to follow what was published."""

import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from busbar.backends.declaration import InstalledDeclarations
from busbar.cli.shared import connect
from busbar.policy.adapters import load_promises
from busbar.policy.routes import views_of
from busbar.sdk import RetryPolicy
from unit.sdk.fake_gateway import FakeGateway, operation, problem, resource
from unit.sdk.running import Run

CONTRACTS = Path(__file__).parents[3] / "contracts" / "promises"
ORDERS = "payments/dev/event-stream/orders"
OLD = {
    "partitions": 3,
    "retention_hours": 72,
    "replicas": 1,
    "compacted": False,
    "dead_letters": {"enabled": True, "replicas": 1, "retention_hours": 168},
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SHORT_RETRY", "_STEADY_RETRY"):
        monkeypatch.setattr(connect, name, RetryPolicy(attempts=1))


@pytest.fixture(autouse=True)
def _existing(gateway: FakeGateway) -> None:
    adapters = InstalledDeclarations()
    promises = load_promises([CONTRACTS], adapters)
    gateway.promises = [one.model_dump(mode="json") for one in views_of(promises, adapters)]
    about = {"name": "event-stream", "version": "v1", "digest": "x"}
    gateway.resources = [resource(ORDERS, spec=OLD, promise=about)]
    gateway.outcomes = [operation("x", "succeeded", detail="done")]


def document(**spec: Any) -> str:
    team, environment, promise, name = ORDERS.split("/")
    about = {"team": team, "environment": environment, "promise": promise, "name": name}
    return json.dumps({**about, "spec": spec})


KEPT = {"retention_hours": 72, "dead_letters": {"enabled": True}}


def test_deleting_without_a_terminal_needs_yes_and_names_the_data(
    busbar: Run, gateway: FakeGateway
) -> None:
    result = busbar("delete", ORDERS)

    assert result.exit_code == 2
    assert f"deletes data: {ORDERS}: the step topic (kafka-topic) is removed" in result.stderr
    assert "the step dead-letters (kafka-topic) is removed" in result.stderr
    assert "Add --yes" in result.stderr
    assert gateway.published == []

    assert busbar("delete", ORDERS, "--yes").exit_code == 0
    assert len(gateway.published) == 1


def test_a_step_that_was_not_part_of_the_plan_is_not_named(
    busbar: Run, gateway: FakeGateway
) -> None:
    gateway.resources[0]["spec"] = {**OLD, "dead_letters": {"enabled": False}}

    assert "dead-letters" not in busbar("delete", ORDERS).stderr


@pytest.mark.parametrize("promises", [[], None])
def test_a_resource_of_a_promise_that_is_not_known_counts_as_data(
    busbar: Run, gateway: FakeGateway, promises: list[Any] | None
) -> None:
    gateway.promises = promises or []
    if promises is None:
        gateway.resources[0]["promise"] = {}

    result = busbar("delete", ORDERS)

    assert result.exit_code == 2
    assert f"{ORDERS}, with everything in it" in result.stderr


@pytest.mark.parametrize("status", ["deleted", "never existed"])
def test_nothing_is_asked_about_what_does_not_exist(
    busbar: Run, gateway: FakeGateway, status: str
) -> None:
    gateway.resources = [] if status != "deleted" else [resource(ORDERS, "deleted")]

    assert busbar("delete", ORDERS).exit_code == 0
    assert len(gateway.published) == 1


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"retention_hours": 72}, "the step dead-letters (kafka-topic) is removed"),
        ({**KEPT, "retention_hours": 24}, "as retention_hours changes from 72 to 24"),
        ({"dead_letters": {"enabled": True}}, "as retention_hours changes from 72 to 24"),
        ({**KEPT, "compacted": True}, "as compacted changes from False to True"),
    ],
)
def test_applying_what_deletes_data_names_it(
    busbar: Run, gateway: FakeGateway, spec: dict[str, Any], said: str
) -> None:
    result = busbar("apply", "-f", "-", stdin=document(**spec))

    assert (result.exit_code, gateway.published) == (2, [])
    assert said in result.stderr
    assert busbar("apply", "-f", "-", "--yes", stdin=document(**spec)).exit_code == 0


@pytest.mark.parametrize(
    "spec", [KEPT, {**KEPT, "partitions": 9}, {**KEPT, "retention_hours": 100}, {**KEPT, "x": [1]}]
)
def test_applying_what_keeps_all_data_does_not_ask(busbar: Run, spec: dict[str, Any]) -> None:
    assert busbar("apply", "-f", "-", stdin=document(**spec)).exit_code == 0


def test_a_delete_event_in_a_file_is_asked_about_as_well(busbar: Run, gateway: FakeGateway) -> None:
    data = json.loads(document())
    del data["spec"]
    kind = "busbar.resource.delete.v1"
    event = {"specversion": "1.0", "id": "1", "source": "urn:x", "type": kind, "data": data}

    result = busbar("apply", "-f", "-", stdin=json.dumps(event))

    assert (result.exit_code, gateway.published) == (2, [])
    assert "is removed, with everything in it" in result.stderr


def at_terminal(home: Path, answer: bytes, *arguments: str) -> tuple[int, str]:
    """Run busbar at a terminal of its own and give ``answer`` to its question."""
    main, other = pty.openpty()
    with subprocess.Popen(  # noqa: S603 - this very program
        [sys.executable, "-m", "busbar", "--home", str(home), *arguments],
        stdin=other,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(other)
        os.write(main, answer)
        said = process.stderr.read().decode() if process.stderr else ""
        code = process.wait(60)
    os.close(main)
    return code, said


@pytest.mark.parametrize(("answer", "code", "published"), [(b"y\n", 0, 1), (b"n\n", 2, 0)])
@pytest.mark.usefixtures("no_settings")
def test_at_a_terminal_the_answer_decides(
    home: Path, gateway: FakeGateway, answer: bytes, code: int, published: int
) -> None:
    ended, said = at_terminal(home, answer, "delete", ORDERS)

    assert ended == code, said
    assert "deletes data" in said
    assert len(gateway.published) == published


def test_the_resources_of_a_file_are_deleted_from_the_last_to_the_first(
    busbar: Run, gateway: FakeGateway
) -> None:
    file = "---\n".join([document() + "\n", document().replace("orders", "bills") + "\n"])

    result = busbar("delete", "-f", "-", "--yes", "--id", "gone", stdin=file)

    assert result.exit_code == 0
    assert [event.data["name"] for event in gateway.published] == ["bills", "orders"]
    assert len({event.id for event in gateway.published}) == 2


@pytest.mark.parametrize(
    "arguments", [(), (ORDERS, "-f", "-"), ("-f", "-"), ("-f", "nowhere.yaml"), ("a/b",)]
)
def test_what_cannot_be_deleted_is_a_usage_error(
    busbar: Run, gateway: FakeGateway, arguments: tuple[str, ...]
) -> None:
    result = busbar("delete", *arguments, stdin='{"team": "a"}')

    assert (result.exit_code, gateway.published) == (2, [])
    assert "fix:" in result.stderr


def test_deletes_that_were_published_before_an_error_are_named(
    busbar: Run, gateway: FakeGateway
) -> None:
    refused = problem(403, "forbidden", "no", "ask")
    gateway.on_post = lambda event: refused if event.data["name"] == "orders" else None
    file = "---\n".join([document() + "\n", document().replace("orders", "bills") + "\n"])

    result = busbar("delete", "-f", "-", "--yes", stdin=file)

    assert result.exit_code == 3
    assert "1 of 2 documents was published" in result.stderr


@pytest.mark.usefixtures("no_settings")
def test_ctrl_c_while_waiting_prints_the_operation_and_how_to_follow_it(
    home: Path, gateway: FakeGateway, tmp_path: Path
) -> None:
    gateway.outcomes = [operation("x", "running")]
    (tmp_path / "orders.json").write_text(document(**KEPT))
    with subprocess.Popen(  # noqa: S603 - this very program
        [sys.executable, "-m", "busbar", "--home", str(home), "apply", "-f", "orders.json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "running" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(60) == 130
    assert f"{ORDERS}: operation " in said
    assert "continues. Follow it with: busbar operation " in said
    assert "--wait" in said
