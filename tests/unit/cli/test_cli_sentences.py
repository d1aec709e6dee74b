"""Each mistake of a newcomer has a sentence of its own, and a next step."""

import json
from pathlib import Path

import pytest

from busbar.cli.shared import connect
from busbar.sdk import RetryPolicy
from unit.sdk.fake_gateway import FakeGateway, dead_letter, fact, operation, resource
from unit.sdk.running import Run

ORDERS = "payments/dev/event-stream/orders"
OPERATION = "0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a10"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SHORT_RETRY", "_STEADY_RETRY", "_LONG_RETRY"):
        monkeypatch.setattr(connect, name, RetryPolicy(attempts=1))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("why", ""), 2, "An argument of `busbar why` is empty."),
        (("get", " "), 2, "An argument of `busbar get` is empty."),
        (("delete", ""), 2, "An argument of `busbar delete` is empty."),
        (("operation", ""), 2, "An argument of `busbar operation` is empty."),
        (("dead-letters", "show", ""), 2, "An argument of `busbar dead-letters` is empty."),
        (("operation",), 2, "The id of the operation is missing."),
        (("operation", "retry", "abc"), 2, "'abc' is not the id of an operation."),
        (("why", "a/b"), 2, "'a/b' is not the id of a resource."),
        (("apply", "-f", ""), 2, "The value of -f is empty."),
        (("apply", "--file="), 2, "The value of --file is empty."),
        (("get", "--token-file", ""), 2, "The value of --token-file is empty."),
        (("get", "--token-file", "."), 9, ". is a folder."),
        (("get", "--token-file", "/dev/null"), 9, "/dev/null is not a regular file."),
        (("get", "--token-file", "nowhere"), 9, "There is no token file nowhere."),
        (("apply", "-f", "."), 2, "Cannot read .: Is a directory."),
        (("aply",), 2, "No such command 'aply'. Did you mean 'apply'"),
        (("apply",), 2, "Missing option '--file' / '-f'."),
        (("get", "--nope"), 2, "No such option: --nope"),
        (("get", "-o", "xml"), 2, "Invalid value for '--output' / '-o': 'xml' is not one of"),
        (("promises", "chek"), 2, "No such command 'chek'."),
        (("get", "payments/orders"), 2, "'payments/orders' is not the id of a resource."),
        (("delete", "payments/orders"), 2, "'payments/orders' is not the id of a resource."),
        (("watch", "--resource", "x"), 2, "'x' is not the id of a resource."),
        (("watch", "--operation", "x"), 2, "'x' is not the id of an operation."),
        (("get", ORDERS), 6, ""),
    ],
)
def test_each_mistake_has_a_sentence_and_a_fix(
    busbar: Run, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = busbar(*arguments)

    problem, fix = result.stderr.splitlines()
    assert problem.startswith(f"error: {said}")
    assert fix.startswith("fix: ")
    assert result.exit_code == code
    assert result.stdout == ""


def test_a_group_without_a_command_shows_its_help(busbar: Run) -> None:
    result = busbar("promises")

    assert "check" in result.output
    assert "error:" not in result.output


def test_a_wrong_token_is_said_to_be_one(busbar: Run, home: Path) -> None:
    (home / "token").write_text("another")

    result = busbar("get")

    assert result.exit_code == 9
    assert "error: The gateway does not accept this token." in result.stderr
    assert "--token-file" in result.stderr


def test_a_platform_that_was_stopped_is_said_to_be_stopped(busbar: Run, home: Path) -> None:
    place = home / "run" / "gateway.json"
    place.write_text(json.dumps({"pid": 1, "url": "http://127.0.0.1:9"}))

    result = busbar("get")

    assert result.exit_code == 7
    assert f"The platform in {home} is stopped" in result.stderr.replace("\n", " ")
    assert "busbar up" in result.stderr


def test_watch_says_what_it_watches(busbar: Run, gateway: FakeGateway) -> None:
    gateway.failures = []
    result = busbar("--url", "http://127.0.0.1:9", "watch", "--team", "payments")
    assert "Watching new facts about team payments. Ctrl-C ends it." in result.stderr

    gateway.facts = [fact(1)]
    assert "Watching" not in busbar("watch", "--no-follow").output


def test_a_failed_operation_names_the_step_and_what_is_left(
    busbar: Run, gateway: FakeGateway
) -> None:
    steps = [
        {"name": "topic", "adapter": "kafka-topic", "status": "undone"},
        {"name": "database", "adapter": "postgres-database", "status": "succeeded"},
        {"name": "dead-letters", "adapter": "kafka-topic", "status": "failed", "detail": "no"},
    ]
    gateway.operations = [operation(OPERATION, "failed", steps=steps, detail="refused")]

    shown = busbar("operation", OPERATION).stdout

    assert (
        "failed at step dead-letters (kafka-topic); undone: topic; left as it is: database" in shown
    )

    gateway.operations[0]["steps"] = [steps[0], steps[2]]
    assert "undone: topic; nothing new is left" in busbar("operation", OPERATION).stdout


@pytest.mark.parametrize(
    ("arguments", "fix"),
    [
        (("operation",), "Write busbar operation ID; `busbar get operations` lists them."),
        (("operation", "retry"), "Write busbar operation retry ID; `busbar get operations` lists"),
        (("operation", "abc"), "Write its UUID; `busbar get operations` lists them."),
        (("get", "opertions"), "Did you mean 'operations'? Write resources, operations,"),
        (("get", "environments"), "`busbar environments` lists them."),
        (("get", "rules"), "`busbar rules list` lists them."),
        (("why", "orders"), "Write team/environment/promise/name, or the UUID of an operation"),
        (("release", "--yes", "orders"), "Write team/environment/promise/name; `busbar get`"),
    ],
)
def test_an_invalid_id_is_followed_by_what_to_write(
    busbar: Run, arguments: tuple[str, ...], fix: str
) -> None:
    result = busbar(*arguments)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[1].startswith(f"fix: {fix}")


@pytest.mark.parametrize(
    ("detail", "command"),
    [
        ("the topic exists", f"`busbar operation retry {OPERATION}`, or end it with `busbar"),
        ("policy could not handle it: no", "`busbar dead-letters list`"),
    ],
)
def test_an_operation_that_is_stuck_says_what_a_person_can_do(
    busbar: Run, gateway: FakeGateway, detail: str, command: str
) -> None:
    gateway.operations = [operation(OPERATION, "stuck", detail=detail)]
    result = busbar("operation", OPERATION)
    assert result.exit_code == 5
    assert command in result.stdout.splitlines()[-1]


def test_json_has_id_and_name(busbar: Run, gateway: FakeGateway) -> None:
    gateway.resources = [resource(ORDERS)]
    gateway.operations = [operation(OPERATION)]
    gateway.dead_letters = [dead_letter("d")]

    def named(*arguments: str) -> tuple[str, str]:
        found = json.loads(busbar(*arguments, "-o", "json").stdout)
        item = found[0] if isinstance(found, list) else found
        return item["id"], item["name"]

    assert named("get") == named("get", ORDERS) == (ORDERS, "orders")
    assert named("get", "operations") == named("get", OPERATION) == (OPERATION, ORDERS)
    assert named("dead-letters", "list") == ("d", "d")
    id_, name = named("delete", ORDERS.replace("orders", "bills"), "--no-wait")
    assert len(id_) == len(OPERATION)
    assert name


def test_the_version_is_an_option_as_well(busbar: Run) -> None:
    shown = busbar("--version")
    assert (shown.exit_code, shown.stdout) == (0, busbar("version").stdout)
    assert shown.stdout.startswith("busbar ")


def test_the_help_lists_exit_codes_without_blank_lines(busbar: Run) -> None:
    lines = [line.strip() for line in busbar("--help").stdout.splitlines()]
    begin = lines.index("Exit codes") + 1
    assert [line.split()[0] for line in lines[begin : begin + 10]] == list("0123456789")


def test_without_a_terminal_the_error_begins_on_a_line_of_its_own(busbar: Run) -> None:
    result = busbar("release", ORDERS, stdin="")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-2] == "error: The question was not answered."
