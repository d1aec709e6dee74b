"""`busbar promises`, `explain`, and the lists of promises and subscriptions."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from busbar.backends.declaration import InstalledDeclarations
from busbar.cli.commands import up
from busbar.cli.doctor.checks import check_files
from busbar.cli.shared.samples import parse
from busbar.cli.shared.times import age
from busbar.cli.status.overview import ProcessSnapshot, summarize
from busbar.cli.status.screen import render
from busbar.kernel.clock import format_time
from busbar.policy.adapters import load_promises
from busbar.policy.routes import views_of
from busbar.runtime.core.settings import load_settings
from unit.sdk.fake_gateway import FakeGateway
from unit.sdk.running import Run

CONTRACTS = Path(__file__).parents[3] / "contracts" / "promises"
BROKEN = """
busbar: promise/v1
name: thing
title: A thing
owner: platform
versions:
  v1:
    spec: {type: object, additionalProperties: false}
    plan:
      - {name: thing, adapter: kafka-topik, inputs: {}}
"""


@pytest.fixture
def shipped() -> list[dict[str, Any]]:
    """The shipped promises, as policy shows them."""
    adapters = InstalledDeclarations()
    promises = load_promises([CONTRACTS], adapters)
    return [one.model_dump(mode="json") for one in views_of(promises, adapters)]


@pytest.fixture
def catalogue(gateway: FakeGateway, shipped: list[dict[str, Any]]) -> None:
    """The gateway shows the shipped promises and a broken one."""
    gateway.promises = [*shipped, {"id": "x", "name": "x", "problem": "x.yaml is broken"}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "promises"
    found.mkdir()
    (found / "thing.yaml").write_text(BROKEN)
    return found


def test_promise_files_in_order_are_listed_with_versions_and_examples(busbar: Run) -> None:
    result = busbar("promises", "check", str(CONTRACTS))

    assert result.exit_code == 0
    assert "event-stream.yaml  event-stream v1, 3 examples" in result.stdout


def test_a_broken_promise_file_is_named_with_line_and_fix_and_ends_with_9(
    busbar: Run, folder: Path
) -> None:
    result = busbar("promises", "check", str(folder))

    assert result.exit_code == 9
    assert f"broken  {folder}/thing.yaml" in result.stdout
    assert "line 10: versions.v1.plan.0.adapter: no adapter 'kafka-topik'" in result.stdout
    assert "fix: did you mean 'kafka-topic'?" in result.stdout

    shown = json.loads(busbar("promises", "check", str(folder), "-o", "json").stdout)
    assert (shown["ok"], shown["files"][0]["problems"][0]["line"]) == (False, 10)


def test_a_name_in_two_files_is_a_problem(busbar: Run, folder: Path) -> None:
    for name in ("thing.yaml", "other.yaml"):
        (folder / name).write_text((CONTRACTS / "event-stream.yaml").read_text())

    result = busbar("promises", "check", str(folder))

    assert result.exit_code == 9
    assert "event-stream is in more than one file" in result.stdout


def test_no_promise_file_at_all_is_a_problem(busbar: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    result = busbar("promises", "check", "empty")

    assert result.exit_code == 9
    assert "There are no promise files." in result.stdout


def test_up_names_broken_promises_before_anything_starts(
    busbar: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(Exception):
        """Nothing is started here."""

    def start(*_: Any, **__: Any) -> None:
        raise Stopped

    monkeypatch.setattr(up, "Platform", start)
    monkeypatch.setenv("BUSBAR_PROMISES", f"{CONTRACTS}:{folder}")

    result = busbar("up")

    assert "thing cannot be offered: the promise file" in result.stdout
    assert "no adapter 'kafka-topik'" in result.stdout


@pytest.mark.usefixtures("no_settings")
def test_doctor_names_broken_promises_and_folders_that_do_not_exist(folder: Path) -> None:
    found, *_ = check_files(load_settings(promises=(CONTRACTS, folder)))
    assert (found.ok, found.needed) == (False, False)
    assert "thing cannot be offered" in found.detail

    (found,) = check_files(load_settings(promises=(folder / "nowhere",)))
    assert (found.ok, found.needed) == (False, True)

    (found,) = check_files(load_settings(promises=(CONTRACTS,)))
    assert found.ok


def test_status_counts_broken_promises() -> None:
    samples = parse("busbar_policy_broken_promises 2\n")
    snapshot = ProcessSnapshot(service="policy", pid=1, at=1.0, samples=samples)

    found = summarize({}, {"policy": snapshot})

    assert found.broken_promises == 2
    shown = StringIO()
    Console(width=200, file=shown).print(render(found))
    assert "broken promises: 2; see `busbar get promises`" in shown.getvalue()


def test_promises_are_listed_with_those_that_are_broken(
    busbar: Run, gateway: FakeGateway, shipped: list[dict[str, Any]]
) -> None:
    gateway.promises = [*shipped, {"id": "x", "name": "x", "problem": "x.yaml is broken"}]

    result = busbar("get", "promises")

    assert "event-stream       offered  v1" in result.stdout
    assert "broken" in result.stdout
    assert "x.yaml is broken" in result.stdout
    shown = json.loads(busbar("get", "promises", "-o", "json").stdout)
    assert [(one["id"], one["name"]) for one in shown][:1] == [("event-stream", "event-stream")]


def test_a_promise_is_explained_with_fields_and_an_example_that_can_be_applied(
    busbar: Run, gateway: FakeGateway, shipped: list[dict[str, Any]], tmp_path: Path
) -> None:
    gateway.promises = shipped

    result = busbar("explain", "event-stream")

    assert result.exit_code == 0
    assert "Event stream" in result.stdout
    assert "partitions  a whole number, at least 1, at most 100, default 3" in result.stdout
    assert "dead_letters.replicas  a whole number, at least 1, at most 5, default 1" in (
        result.stdout
    )
    example = result.stdout.partition("busbar apply -f FILE`\n")[2]
    assert yaml.safe_load(example)["promise"] == "event-stream"
    (tmp_path / "example.yaml").write_text(example)
    assert busbar("apply", "-f", "example.yaml", "--no-wait").exit_code == 0
    assert gateway.published[0].data["spec"]["partitions"] == 3


def test_the_items_of_a_list_are_explained(
    busbar: Run, gateway: FakeGateway, shipped: list[dict[str, Any]]
) -> None:
    gateway.promises = shipped

    shown = busbar("explain", "postgres-database").stdout

    assert "extensions  a list of text, no item twice, each item one of" in shown


def test_one_field_is_explained_with_what_is_below_it(
    busbar: Run, gateway: FakeGateway, shipped: list[dict[str, Any]]
) -> None:
    gateway.promises = shipped

    result = busbar("explain", "event-stream.dead_letters")

    assert "dead_letters  an object" in result.stdout
    assert "dead_letters.enabled  true or false, default false" in result.stdout
    assert "partitions" not in result.stdout
    shown = json.loads(busbar("explain", "event-stream.partitions", "-o", "json").stdout)
    assert (shown["id"], shown["name"]) == ("event-stream", "event-stream")
    assert [field["path"] for field in shown["fields"]] == ["partitions"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("event-steam",), 6, "Did you mean 'event-stream'?"),
        (("event-stream.partition",), 6, "Did you mean 'partitions'?"),
        (("event-stream", "--version", "v9"), 6, "Its versions are: v1"),
        (("x",), 9, "x is not offered: x.yaml is broken."),
    ],
)
@pytest.mark.usefixtures("catalogue")
def test_what_cannot_be_explained_says_why(
    busbar: Run, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = busbar("explain", *arguments)

    assert (result.exit_code, said in result.stderr) == (code, True), result.stderr


def test_subscriptions_are_listed(busbar: Run, gateway: FakeGateway) -> None:
    gateway.subscriptions = [
        {
            "subscription": "payments/done",
            "updated": "2026-01-31T12:00:00Z",
            "team": "payments",
            "name": "done",
            "url": "https://payments.example/",
            "types": ["busbar.resource.*"],
            "secret": "secret:payments-done",
        }
    ]

    assert "payments/done  https://payments.example/" in busbar("get", "subscriptions").stdout
    (shown,) = json.loads(busbar("get", "subscriptions", "-o", "json").stdout)
    assert (shown["id"], shown["name"]) == ("payments/done", "done")


@pytest.mark.parametrize(
    ("ago", "shown"),
    [
        (timedelta(seconds=0), "0s"),
        (timedelta(seconds=59), "59s"),
        (timedelta(minutes=90), "90m"),
        (timedelta(hours=30), "30h"),
        (timedelta(days=40), "40d"),
        (timedelta(seconds=-5), "0s"),
    ],
)
def test_the_age_of_a_time_is_short(ago: timedelta, shown: str) -> None:
    now = datetime(2026, 1, 31, 12, tzinfo=UTC)

    assert age(format_time(now - ago), now=now) == shown
    assert age("", now=now) == ""
