"""`busbar get -w` shows what there is, then what changes; useless filters are refused."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from unit.sdk.fake_gateway import FakeGateway, fact, operation, resource
from unit.sdk.running import Run

ORDERS, BILLS = "payments/dev/event-stream/orders", "payments/dev/event-stream/bills"
OPERATION = "0b6f8e0e-2b53-5d6e-8a53-6f5f4c1f9a10"


def watching(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - this very program
        [
            sys.executable,
            "-m",
            "busbar",
            "--home",
            str(home),
            "get",
            *arguments,
            "-w",
            "-o",
            "json",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONUNBUFFERED": "1", "PATH": "/usr/bin"},
    )


def ended(process: subprocess.Popen[str]) -> int:
    process.send_signal(signal.SIGINT)
    return process.wait(60)


@pytest.mark.usefixtures("no_settings")
def test_what_changes_is_shown_after_what_there_is(home: Path, gateway: FakeGateway) -> None:
    gateway.resources = [resource(ORDERS), resource(BILLS, "deleted")]
    with watching(home) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert (first["id"], first["status"]) == (ORDERS, "ready")

        gateway.resources[1] = resource(BILLS, "provisioning")
        gateway.facts.append(fact(1))
        again = json.loads(process.stdout.readline())
        assert (again["id"], again["status"]) == (BILLS, "provisioning")

        gateway.resources[0] = resource(ORDERS, "deleted")
        gateway.facts.append(fact(2))
        last = json.loads(process.stdout.readline())
        assert (last["id"], last["status"]) == (ORDERS, "deleted")
        assert ended(process) == 130


@pytest.mark.usefixtures("no_settings")
def test_one_operation_is_followed(home: Path, gateway: FakeGateway) -> None:
    gateway.operations = [operation(OPERATION, "running")]
    with watching(home, OPERATION) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["status"] == "running"
        gateway.operations[0] = operation(OPERATION, "succeeded")
        assert json.loads(process.stdout.readline())["status"] == "succeeded"
        assert ended(process) == 130


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("operations", "--team", "a"), "--team does not apply to operations."),
        (("resources", "--resource", ORDERS), "--resource does not apply to resources."),
        (("promises", "--team", "a"), "--team does not apply to promises."),
        (("subscriptions", "--status", "ready"), "--status does not apply to subscriptions."),
        ((ORDERS, "--status", "ready"), f"--status does not apply to {ORDERS}."),
        (("--status", "succeeded"), "'succeeded' is not a status of resources."),
        (("operations", "--status", "ready"), "'ready' is not a status of operations."),
    ],
)
def test_a_filter_that_would_do_nothing_is_refused(
    busbar: Run, gateway: FakeGateway, arguments: tuple[str, ...], said: str
) -> None:
    result = busbar("get", *arguments)

    assert result.exit_code == 2
    assert f"error: {said}" in result.stderr
    assert gateway.requests == []
