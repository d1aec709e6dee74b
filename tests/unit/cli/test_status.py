"""`busbar status` shows the state of the platform from the answers of its processes."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, generate_latest  # noqa: TID251 - an oracle
from rich.console import Console

from busbar.cli.commands import status
from busbar.cli.local.addresses import read_addresses
from busbar.cli.shared.samples import parse
from busbar.cli.status.overview import Overview, ProcessSnapshot, summarize
from busbar.cli.status.polling import fetch_all
from busbar.cli.status.screen import WIDE_COLUMNS, as_json, render
from unit.sdk.running import Run


def scrape(service: str = "policy", records: float = 0, **more: float) -> str:
    """The metrics of a process."""
    lines = [f'busbar_consumer_records_total{{outcome="handled",service="{service}"}} {records}']
    lines += [f'{name}{{service="{service}"}} {value}' for name, value in more.items()]
    return "# HELP a b\n" + "\n".join(lines) + "\n"


def snapshot(
    text: str | None, at: float = 0, *, pid: int = 1, problem: str = ""
) -> ProcessSnapshot:
    return ProcessSnapshot("policy", pid, at, problem, None if text is None else parse(text))


def shown(found: Overview, width: int = WIDE_COLUMNS) -> str:
    console = Console(width=width, force_terminal=False, emoji=False)
    with console.capture() as capture:
        console.print(render(found, width=width))
    return capture.get()


def test_that_unsigned_intents_are_accepted_is_said_in_a_line() -> None:
    quiet, loud = (
        summarize({}, {"policy": snapshot(f"busbar_policy_unsigned_intents_accepted {value}\n")})
        for value in (0, 1)
    )
    assert (quiet.accepts_unsigned, loud.accepts_unsigned) == (False, True)
    assert "unsigned" not in shown(quiet)
    said = " ".join(shown(loud).split())
    assert "everybody who can write to Kafka may ask for everything" in said
    assert "Unset BUSBAR_UNSIGNED_INTENTS" in said
    assert as_json(loud)["accepts_unsigned"] is True


# -- reading ------------------------------------------------------------------------------------


@given(st.text(), st.floats(min_value=0, allow_infinity=False))
def test_samples_are_read_as_the_library_writes_them(label: str, value: float) -> None:
    registry = CollectorRegistry()
    counter = Counter("busbar_a", 'a "help"\nof lines', ["outcome", "b"], registry=registry)
    counter.labels(label, "x").inc(value)
    found = parse(generate_latest(registry).decode())
    assert found.values("busbar_a_total", outcome=label, b="x") == [value]


@pytest.mark.parametrize("text", ["nonsense", "a{", 'a{b="c} 1', "a b c d", "a one", "<html>"])
def test_what_is_not_the_text_format_of_prometheus_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        parse(text)


def test_samples_are_summed_by_a_label_whatever_others_there_are() -> None:
    found = parse('a{k="x",o="1"} 1\na{k="x",o="2"} 2\na{k="y",o="1"} 4\na 8\nb{k="x"} 16\n')
    assert found.total_by("k", "a") == {"x": 3, "y": 4}
    assert (found.total("a", k="x"), found.total("a"), found.total("c")) == (3, 15, None)
    assert (found.largest("a", k="x"), found.largest("c")) == (2, None)


# -- the overview --------------------------------------------------------------------------------


def test_rates_are_the_increase_of_counters_between_two_snapshots() -> None:
    before, now = snapshot(scrape(records=100), 10), snapshot(scrape(records=160), 12)
    (found,) = summarize({"policy": before}, {"policy": now}).processes
    assert found.records_per_second == 30


@pytest.mark.parametrize(
    "before",
    [
        None,
        snapshot(None, 10),
        snapshot(scrape(records=100), 10, pid=2),
        snapshot(scrape(records=100), 12),
    ],
    ids=["no earlier snapshot", "no metrics then", "another process", "no time between"],
)
def test_what_cannot_be_compared_has_no_rate(before: ProcessSnapshot | None) -> None:
    earlier = {"policy": before} if before else {}
    (found,) = summarize(earlier, {"policy": snapshot(scrape(records=160), 12)}).processes
    assert found.records_per_second is None


def test_a_counter_that_was_reset_counts_from_zero() -> None:
    found = summarize(
        {"policy": snapshot(scrape(records=100), 10)}, {"policy": snapshot(scrape(records=4), 12)}
    )
    assert found.processes[0].records_per_second == 2


def test_gauges_are_shown_as_they_are() -> None:
    text = (
        scrape(
            busbar_consumer_lag_seconds=7.5,
            busbar_consumer_stopped=1,
            busbar_relay_backlog_events=3,
        )
        + 'busbar_tasks_due{kind="a"} 2\nbusbar_tasks_due{kind="b"} 3\n'
    )
    (found,) = summarize({}, {"policy": snapshot(text)}).processes
    assert (found.lag_seconds, found.stopped, found.backlog_events) == (7.5, True, 3)
    assert (found.tasks_due, found.guard_lag_seconds) == (5, None)


def test_outcomes_of_all_instances_are_added_up() -> None:
    def of(allowed: int, denied: int) -> str:
        name = "busbar_policy_decisions_total"
        return f'{name}{{outcome="allowed"}} {allowed}\n{name}{{outcome="denied"}} {denied}\n'

    before = {"policy": snapshot(of(10, 0), 1), "policy.2": snapshot(of(5, 1), 1)}
    now = {"policy": snapshot(of(20, 0), 2), "policy.2": snapshot(of(9, 3), 2)}
    found = summarize(before, now)
    assert found.decisions.total == {"allowed": 29, "denied": 3}
    assert found.decisions.per_second == {"allowed": 14, "denied": 2}
    assert (found.decisions.known, found.webhooks.known) == (True, False)


def test_an_outcome_that_was_never_counted_is_none_since_the_process_started() -> None:
    text = "# TYPE busbar_policy_decisions_total counter\nbusbar_policy_decisions_total 0\n"
    assert "none since it started" in shown(summarize({}, {"policy": snapshot(text)}))


# -- the screen ---------------------------------------------------------------------------------


def test_a_screen_says_which_process_is_not_ready_and_why() -> None:
    now = {
        "policy": snapshot(scrape(), problem="kafka: the broker does [not] answer"),
        "policy.2": snapshot(None),
    }
    text = shown(summarize({}, now))
    assert "policy    not ready" in text
    assert "policy: kafka: the broker does [not] answer" in text
    assert "policy.2: it exposes no metrics (BUSBAR_METRICS is false)" in text


def test_a_narrow_terminal_gets_what_matters_most_in_whole_words() -> None:
    text = scrape(busbar_consumer_lag_seconds=1, busbar_consumer_parked_keys=0)
    found = summarize({}, {"provisioner": snapshot(text)})
    narrow = shown(found, 80)
    assert max(map(len, narrow.splitlines())) <= 80
    for word in ("process", "records/s", "lag", "parked", "unpublished", "due", "oldest"):
        assert word in narrow.splitlines()[0]
    assert "…" not in narrow
    assert "guard" in shown(found).splitlines()[0]


def test_long_times_are_shown_in_minutes_and_hours() -> None:
    for seconds, words in ((59.0, "59.0 s"), (600.0, "10.0 min"), (7200.0, "2.0 h")):
        found = summarize({}, {"policy": snapshot(scrape(busbar_consumer_lag_seconds=seconds))})
        assert words in shown(found)


def test_programs_get_numbers_and_null_for_what_is_not_known() -> None:
    found = as_json(summarize({}, {"policy": snapshot(scrape(busbar_consumer_lag_seconds=2))}))
    (process,) = json.loads(json.dumps(found))["processes"]
    assert (process["lag_seconds"], process["records_per_second"]) == (2, None)


# -- polling -------------------------------------------------------------------------------------


@contextmanager
def answering(pages: Mapping[str, tuple[int, str]]) -> Iterator[str]:
    """A process that answers like this; its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            code, text = pages.get(self.path, (404, ""))
            self.send_response(code)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_args: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def ready(service: str = "policy", **problems: str) -> tuple[int, str]:
    body = {"service": service, "ready": not problems, "problems": problems}
    return (503 if problems else 200), json.dumps(body)


def written(home: Path, name: str, url: str) -> None:
    (home / "run").mkdir(exist_ok=True)
    (home / "run" / f"{name}.json").write_text(json.dumps({"pid": 7, "url": url}))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


def test_every_process_is_polled_and_those_that_do_not_answer_are_named(place: Path) -> None:
    pages = {"/readyz": ready(store="the database does not answer"), "/metrics": (200, scrape())}
    with answering(pages) as url:
        written(place, "policy", url)
        written(place, "policy.2", url)
        written(place, "audit", "http://127.0.0.1:1")
        written(place, "gateway", url)
        (place / "run" / "notifier.json").write_text("{half")
        found = fetch_all(read_addresses(place))
    assert sorted(found) == ["audit", "gateway", "policy", "policy.2"]
    assert found["policy"].problem == "store: the database does not answer"
    assert found["policy"].samples is not None
    assert found["policy.2"].service == "policy"
    assert found["audit"].problem == "it does not answer (ConnectionRefusedError)"
    assert not found["audit"].answers
    # Another program has the port now.
    assert not found["gateway"].answers


@pytest.mark.parametrize("page", ["/readyz", "/metrics"])
def test_another_program_on_the_port_of_a_process_is_named_as_such(place: Path, page: str) -> None:
    pages = {"/readyz": ready(), "/metrics": (200, scrape())}
    with answering({**pages, page: (200, "<html>Hello</html>")}) as url:
        written(place, "policy", url)
        (found,) = fetch_all(read_addresses(place)).values()
    assert (found.problem, found.answers) == ("another program answers on its port", False)


def test_a_process_without_metrics_still_reports_its_readiness(place: Path) -> None:
    with answering({"/readyz": ready()}) as url:
        written(place, "policy", url)
        (found,) = fetch_all(read_addresses(place)).values()
    assert (found.problem, found.samples, found.answers) == ("", None, True)


# -- the command --------------------------------------------------------------------------------


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "REFRESH_SECONDS", 0.01)


@pytest.mark.usefixtures("_quick")
def test_where_nothing_runs_it_says_how_to_start_a_platform(busbar: Run, home: Path) -> None:
    (home / "run" / "gateway.json").unlink()
    result = busbar("status")
    assert result.exit_code == 7
    assert "No platform is running in" in result.stderr
    assert "busbar up" in result.stderr


@pytest.mark.usefixtures("_quick")
def test_one_screen_is_printed_and_one_document_for_programs(busbar: Run, home: Path) -> None:
    with answering({"/readyz": ready(), "/metrics": (200, scrape(records=3))}) as url:
        written(home, "policy", url)
        screen = busbar("status", "--once")
        document = busbar("status", "--once", "-o", "json")
    assert screen.exit_code == document.exit_code == 0
    assert "policy" in screen.stdout
    assert "ready" in screen.stdout
    names = [process["name"] for process in json.loads(document.stdout)["processes"]]
    assert names == ["gateway", "policy"]


@pytest.mark.usefixtures("_quick")
@pytest.mark.parametrize("output", ["table", "json"])
def test_through_a_pipe_a_screen_follows_the_other_until_the_platform_is_gone(
    busbar: Run, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    snapshots = iter(
        [{"policy": snapshot(scrape(records=1), 1)}, {"policy": snapshot(scrape(records=3), 2)}]
    )

    def next_snapshots(known: object) -> dict[str, ProcessSnapshot]:  # noqa: ARG001 - asked in its place
        return next(snapshots, {})

    monkeypatch.setattr(status, "fetch_all", next_snapshots)
    result = busbar("status", "-o", output)
    assert result.exit_code == 7
    assert len([line for line in result.stdout.splitlines() if "policy" in line]) == 1
    assert "2.0" in result.stdout


def test_what_waits_for_its_next_attempt_is_named_apart_from_what_is_stuck() -> None:
    def of(sagas: int, stuck: int, webhooks: int) -> str:
        text = scrape(
            busbar_provisioner_stuck_operations=stuck,
        )
        text += f'busbar_tasks_waiting{{kind="saga"}} {sagas}\n'
        text += f'busbar_tasks_waiting{{kind="webhook"}} {webhooks}\n'
        return shown(summarize({}, {"a": snapshot(text), "b": snapshot(text)}))

    assert "waiting for" not in of(2, 2, 0)
    assert "waiting for their next attempt: 1 operation; see `busbar get" in of(3, 2, 0)
    assert "waiting for their next attempt: 2 deliveries; see `busbar subscription" in of(0, 0, 2)
