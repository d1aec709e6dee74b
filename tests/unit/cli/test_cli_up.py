import errno
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from busbar.cli.app import app
from busbar.cli.local import NotReady, Platform, ServicePlan, plan_services
from busbar.cli.local.backoff import RestartBackoff
from busbar.cli.local.kafka import Progress
from busbar.cli.local.logs import last_error, open_log
from busbar.cli.local.plan import Wiring
from busbar.kernel.errors import ConfigurationError
from busbar.messages.topics import SERVICES
from busbar.runtime.host.instances import member_name

T = TypeVar("T")

STUB = """
import http.server, json, os, pathlib, signal, sys

name, home = sys.argv[1], pathlib.Path(os.environ["BUSBAR_HOME"])
print("starting", name, flush=True)
if (home / f"{name}.refuses").exists():
    print("error: The port is wrong.\\nfix: Choose another.", file=sys.stderr, flush=True)
    sys.exit(9)

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        unready = home / f"{name}.unready"
        problems = {"consumer": "it has no partitions"} if unready.exists() else {}
        if (home / f"{name}.waits").exists():
            problems = {"kafka": "Kafka is unreachable"}
        answer = {"service": name, "ready": not problems, "problems": problems}
        body = json.dumps(answer).encode()
        self.send_response(503 if problems else 200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

def stop(*_):
    if not (home / f"{name}.stubborn").exists():
        with (home / "stopped").open("a") as file:
            file.write(name + "\\n")
        os._exit(0)

signal.signal(signal.SIGTERM, stop)
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
url = f"http://127.0.0.1:{server.server_port}"
(home / "run" / f"{name}.json").write_text(json.dumps({"pid": os.getpid(), "url": url}))
server.serve_forever()
"""


def stubs(*names: str) -> Callable[[Wiring], tuple[ServicePlan, ...]]:
    def plan(wiring: Wiring) -> tuple[ServicePlan, ...]:
        return tuple(
            ServicePlan(
                name=name,
                command=(sys.executable, "-I", "-S", "-c", STUB, name),
                environment={"BUSBAR_HOME": str(wiring.home)},
            )
            for name in names
        )

    return plan


class StubBroker:
    """Stands for Kafka: a process of ours as well, so that its end can be seen."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.bootstrap = "127.0.0.1:19092"
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self.start()

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process and self.process.poll() is None else None

    def start(self) -> None:
        self.starts += 1
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"]
        )

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            with (self.home / "stopped").open("a") as file:
                file.write("kafka\n")
            self.process = None


class Stage:
    """A home, and the platforms that a test starts in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.reports: list[str] = []
        self.brokers: list[StubBroker] = []
        self.platforms: list[Platform] = []

    def platform(
        self, *names: str, gateway_port: int = 0, grace: float = 10, instances: int = 1
    ) -> Platform:
        def start_broker(home: Path, _port: int, _progress: Progress) -> StubBroker:
            self.brokers.append(StubBroker(home))
            return self.brokers[-1]

        made = Platform(
            self.home,
            gateway_port=gateway_port,
            start_broker=start_broker,
            services=stubs(*(names or ("policy", "audit"))),
            report=self.reports.append,
            grace=grace,
            instances=instances,
        )
        self.platforms.append(made)
        return made

    def mark(self, name: str) -> None:
        self.home.mkdir(mode=0o700, exist_ok=True)
        (self.home / name).touch()

    @property
    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.home / "up.json").read_text())
        return found


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path / "home")
    yield made
    for platform in made.platforms:
        platform.kill()
        platform.stop()


def eventually(check: Callable[[], T | None], *, within: float = 10.0) -> T:
    """The first truthy answer of ``check``; an exception counts as not yet."""
    deadline = time.monotonic() + within
    while True:
        with suppress(OSError, ValueError, KeyError):
            if found := check():
                return found
        assert time.monotonic() < deadline, "it did not happen in time"
        os.sched_yield()


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def running(platform: Platform) -> dict[str, int]:
    return {name: pid for name, pid in platform.pids.items() if pid is not None}


def test_a_platform_becomes_ready_and_writes_down_what_runs(stage: Stage) -> None:
    progress: list[str] = []
    with stage.platform() as platform:
        platform.wait_ready(progress.append)
        assert sorted(progress) == ["audit is ready", "policy is ready"]
        state = stage.state
        assert state["pid"] == os.getpid()
        assert state["bootstrap"] == platform.bootstrap == "127.0.0.1:19092"
        assert state["gateway_url"] == platform.url
        assert {name: known["pid"] for name, known in state["services"].items()} == platform.pids
        assert all(known["port"] for known in state["services"].values())
        assert "starting policy" in (stage.home / "logs" / "policy.log").read_text()
        for private in (stage.home / "token", stage.home / "logs" / "policy.log"):
            assert private.stat().st_mode & 0o777 == 0o600
        assert stage.home.stat().st_mode & 0o777 == 0o700
        # A Ctrl-C in the terminal goes to a session: theirs is not ours.
        assert all(os.getsid(pid) == pid for pid in running(platform).values())


def test_stopping_ends_the_services_before_the_broker_and_leaves_nothing(stage: Stage) -> None:
    with stage.platform() as platform:
        platform.wait_ready()
        pids = [*running(platform).values(), stage.brokers[0].pid or 0]
    assert all(gone(pid) for pid in pids)
    stopped = (stage.home / "stopped").read_text().split()
    assert sorted(stopped[:2]) == ["audit", "policy"]
    assert stopped[2:] == ["kafka"]
    assert stage.state["pid"] is None
    assert stage.state["bootstrap"] == "127.0.0.1:19092"


def test_a_service_that_is_killed_is_restarted_immediately(stage: Stage) -> None:
    with stage.platform() as platform:
        platform.wait_ready()
        before = running(platform)
        os.kill(before["policy"], signal.SIGKILL)
        after = eventually(lambda: _another(platform, before))
        platform.wait_ready()
        assert after["audit"] == before["audit"]
        assert stage.state["services"]["policy"]["pid"] == after["policy"]
        assert any("policy ended (killed by SIGKILL); restarting now" in x for x in stage.reports)


def _another(platform: Platform, before: dict[str, int]) -> dict[str, int] | None:
    now = running(platform)
    return now if now.get("policy") not in (None, before["policy"]) else None


def test_a_service_that_cannot_be_started_is_tried_until_it_can(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = threading.Event()

    def open_if_there_is_space(path: Path) -> Any:
        if full.is_set() and path.name == "policy.log":
            raise OSError(errno.ENOSPC, "No space left on device")
        return open_log(path)

    monkeypatch.setattr("busbar.cli.local.supervisor.open_log", open_if_there_is_space)
    with stage.platform() as platform:
        platform.wait_ready()
        before = running(platform)
        full.set()
        os.kill(before["policy"], signal.SIGKILL)
        problem = "policy cannot be started: No space left on device; trying again"
        eventually(lambda: problem in stage.reports, within=30)
        full.clear()
        eventually(lambda: _another(platform, before), within=30)
        platform.wait_ready()


def test_a_broker_that_dies_is_restarted(stage: Stage) -> None:
    with stage.platform() as platform:
        platform.wait_ready()
        os.kill(stage.brokers[0].pid or 0, signal.SIGKILL)
        eventually(lambda: stage.brokers[0].starts == 2 and stage.brokers[0].pid)
        assert "Kafka ended; restarting it" in stage.reports


def test_a_service_that_cannot_run_stops_everything_with_its_last_error(stage: Stage) -> None:
    stage.mark("policy.refuses")
    with stage.platform() as platform:
        pids = running(platform)
        with pytest.raises(ConfigurationError, match="policy cannot run: The port") as caught:
            platform.wait_ready()
    assert caught.value.fix == "Choose another."
    assert all(gone(pid) for pid in pids.values())


def test_a_service_that_can_no_longer_run_is_tried_until_it_can(stage: Stage) -> None:
    with stage.platform() as platform:
        platform.wait_ready()
        before = running(platform)
        stage.mark("policy.refuses")
        os.kill(before["policy"], signal.SIGKILL)
        problem = "policy cannot run: The port is wrong. Choose another.; restarting"
        eventually(lambda: any(each.startswith(problem) for each in stage.reports), within=30)
        (stage.home / "policy.refuses").unlink()
        eventually(lambda: _another(platform, before), within=30)
        platform.wait_ready()
        assert running(platform)["audit"] == before["audit"]


def test_what_does_not_become_ready_is_named_with_its_reason(stage: Stage) -> None:
    stage.mark("audit.unready")
    with stage.platform() as platform:
        eventually(lambda: platform.readiness()["policy"].ready)
        with pytest.raises(NotReady, match="audit: consumer: it has no partitions"):
            platform.wait_ready(timeout=0.3)


def test_a_service_whose_broker_is_unreachable_is_waited_for_and_reported(stage: Stage) -> None:
    stage.mark("audit.waits")
    said: list[str] = []
    with stage.platform() as platform:
        eventually(lambda: platform.readiness()["audit"].waits_for_peer, within=60)
        eventually(lambda: platform.readiness()["policy"].ready, within=60)
        waiting = threading.Thread(
            target=platform.wait_ready, args=(said.append,), kwargs={"timeout": 0.3}
        )
        waiting.start()
        eventually(lambda: "audit: kafka: Kafka is unreachable" in said, within=20)
        assert waiting.is_alive()
        (stage.home / "audit.waits").unlink()
        waiting.join(20)
        assert said[-1] == "audit is ready"


def test_what_becomes_unready_later_is_reported_and_its_end_as_well(stage: Stage) -> None:
    with stage.platform() as platform:
        platform.wait_ready()
        stage.mark("audit.waits")
        eventually(lambda: "audit: kafka: Kafka is unreachable" in stage.reports, within=20)
        (stage.home / "audit.waits").unlink()
        eventually(lambda: "every process is ready again" in stage.reports, within=20)


def test_a_service_that_does_not_stop_is_killed_after_its_grace(stage: Stage) -> None:
    stage.mark("policy.stubborn")
    with stage.platform(grace=0.2) as platform:
        platform.wait_ready()
        pids = running(platform)
    assert all(gone(pid) for pid in pids.values())
    assert "kafka" in (stage.home / "stopped").read_text()


def test_a_second_one_in_the_same_home_is_refused_with_the_firsts_process(stage: Stage) -> None:
    with stage.platform() as platform:
        platform.wait_ready()
        with pytest.raises(ConfigurationError, match=f"as process {os.getpid()}") as caught:
            stage.platform().start()
        assert f"kill {os.getpid()}" in caught.value.fix
        assert all(not gone(pid) for pid in running(platform).values())
    with stage.platform() as again:
        again.wait_ready()


def test_a_taken_gateway_port_is_named_before_anything_is_started(stage: Stage) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1:{port}") as caught:
            stage.platform(gateway_port=port).start()
    assert "--gateway-port" in caught.value.fix
    assert stage.brokers == []
    assert not (stage.home / "logs" / "policy.log").exists()


def test_a_home_that_others_can_enter_is_refused(stage: Stage) -> None:
    stage.home.mkdir(mode=0o755)
    stage.home.chmod(0o755)
    with pytest.raises(ConfigurationError, match="other users can access it") as caught:
        stage.platform().start()
    assert f"chmod 700 {stage.home}" in caught.value.fix


def test_nothing_survives_a_supervisor_that_is_killed(stage: Stage) -> None:
    script = textwrap.dedent(
        """
        import sys, signal
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from unit.cli.test_cli_up import Stage
        stage = Stage(Path(sys.argv[1]))
        platform = stage.platform()
        platform.start()
        platform.wait_ready()
        print(*platform.pids.values(), stage.brokers[0].pid, flush=True)
        signal.pause()
        """
    )
    tests = str(Path(__file__).parents[2])
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", script, str(stage.home), tests], stdout=subprocess.PIPE
    ) as supervisor:
        assert supervisor.stdout is not None
        *services, broker = map(int, supervisor.stdout.readline().split())
        supervisor.kill()
        supervisor.wait()
    os.kill(broker, signal.SIGKILL)  # nothing ties the stub to its parent, as Kafka is tied
    assert len(services) == 2
    for pid in services:
        eventually(partial(gone, pid))
    with stage.platform() as again:
        again.wait_ready()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_stops_everything_at_a_signal_and_ends_well(
    stage: Stage, number: signal.Signals
) -> None:
    script = textwrap.dedent(
        """
        import sys
        sys.path.insert(0, sys.argv[2])
        from busbar.cli.app import main
        from busbar.cli.commands import up
        from unit.cli.test_cli_up import StubBroker, stubs
        from busbar.cli.local import Platform
        home = sys.argv[1]
        def platform(place, **more):
            start = lambda home, port, progress: StubBroker(home)
            services = stubs("policy", "audit")
            return Platform(place, start_broker=start, services=services, **more)
        up.Platform = platform
        sys.argv = ["busbar", "up", "--home", home, "--gateway-port", "0"]
        main()
        """
    )
    tests = str(Path(__file__).parents[2])
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", script, str(stage.home), tests],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "BUSBAR_UNSIGNED_INTENTS": "accept"},  # noqa: TID251 - as of a shell
    ) as command:
        assert command.stdout is not None
        assert command.stderr is not None
        lines = []
        for line in command.stdout:
            lines.append(line.strip())
            if line.startswith("Press Ctrl-C"):
                break
        pids = [known["pid"] for known in stage.state["services"].values()]
        command.send_signal(number)
        lines += command.stdout.read().split("\n")
        warned = " ".join(command.stderr.read().split())
        assert command.wait(20) == 0
    assert "busbar is up." in lines
    assert "warning: unsigned intents are accepted: everybody who can write to Kafka" in warned
    assert "Unset BUSBAR_UNSIGNED_INTENTS" in warned
    assert any(line.startswith("gateway  http://127.0.0.1:") for line in lines)
    assert lines[-2] == "stopped"
    assert all(gone(pid) for pid in pids)
    assert (stage.home / "stopped").read_text().split()[-1] == "kafka"


def test_the_command_names_a_taken_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        home = str(tmp_path / "home")
        result = CliRunner().invoke(app, ["up", "--home", home, "--gateway-port", port])
    assert result.exit_code == 9
    assert f"127.0.0.1:{port}" in result.stderr
    assert "--gateway-port" in result.stderr


def test_every_service_gets_the_addresses_of_the_others(tmp_path: Path) -> None:
    wiring = Wiring(
        home=tmp_path,
        bootstrap="127.0.0.1:9092",
        host="0.0.0.0",  # noqa: S104 - what an operator may choose
        gateway_port=8642,
        audit_port=20001,
        policy_port=20002,
    )
    plans = {plan.name: plan for plan in plan_services(wiring)}
    assert set(plans) == set(SERVICES)
    assert plans["gateway"].command[1:] == ("-m", "busbar", "run", "gateway")
    assert plans["gateway"].environment["BUSBAR_AUDIT_URL"] == "http://127.0.0.1:20001"
    assert plans["gateway"].environment["BUSBAR_POLICY_URL"] == "http://127.0.0.1:20002"
    ports = {name: plan.environment["BUSBAR_HTTP_PORT_NUMBER"] for name, plan in plans.items()}
    assert ports.pop("policy") == "20002"
    assert ports.pop("audit") == "20001"
    assert set(ports.values()) == {"0"}


def test_on_postgresql_every_service_but_the_gateway_runs_in_as_many_instances_as_asked(
    tmp_path: Path,
) -> None:
    url = "postgresql://services@127.0.0.1/busbar"
    wiring = Wiring(
        home=tmp_path,
        bootstrap="127.0.0.1:9092",
        host="127.0.0.1",
        gateway_port=8642,
        audit_port=20001,
        policy_port=20002,
        database_url=SecretStr(url),
        instances=3,
    )
    plans = {plan.name: plan for plan in plan_services(wiring)}
    several = [name for name in SERVICES if name != "gateway"]
    assert set(plans) == {
        "gateway",
        *several,
        *(f"{name}.{number}" for name in several for number in (2, 3)),
    }
    assert plans["policy.3"].command == plans["policy"].command
    numbers = {name: plan.environment["BUSBAR_INSTANCE_NUMBER"] for name, plan in plans.items()}
    assert (numbers["policy"], numbers["policy.3"]) == ("1", "3")
    with_port = [
        name for name, p in plans.items() if p.environment["BUSBAR_HTTP_PORT_NUMBER"] != "0"
    ]
    assert with_port == ["policy", "audit"]
    for plan in plans.values():
        assert plan.environment["BUSBAR_DATABASE_URL"] == url
        assert plan.environment["BUSBAR_DATABASE_OWNER_URL"] == ""


def test_several_instances_without_postgresql_are_refused_before_anything_starts(
    stage: Stage,
) -> None:
    with pytest.raises(ConfigurationError, match="cannot share one SQLite file") as caught:
        stage.platform(instances=2).start()
    assert "BUSBAR_DATABASE_URL" in caught.value.fix
    assert stage.brokers == []


def test_instances_of_one_home_have_names_of_their_own_in_the_group(tmp_path: Path) -> None:
    def name(number: int | None, *, home: Path = tmp_path, alone: bool = False) -> str | None:
        return member_name("policy", number, home=home, alone=alone)

    assert name(1) == name(1)
    assert len({name(1), name(2), name(1, home=tmp_path / "other")}) == 3
    assert name(None) is None
    assert name(None, alone=True) == name(1, alone=True) == "policy-1"


def test_delays_grow_to_ten_seconds_and_start_over_after_a_healthy_run() -> None:
    delays, backoff = [], RestartBackoff()
    for _ in range(8):
        backoff = backoff.after_exit(1.0)
        delays.append(backoff.delay)
    assert delays == [0, 0.5, 1, 2, 4, 8, 10, 10]
    assert backoff.after_exit(30.0).delay == 0


def test_a_large_log_is_rotated_and_the_last_error_is_of_this_start(tmp_path: Path) -> None:
    log = tmp_path / "policy.log"
    log.write_bytes(b"x" * (10 * 1024 * 1024 + 1))
    with open_log(log) as file:
        file.write(b"error: old\nfix: old fix\n")
        since = file.tell()
        file.write(b"just a line\n\n")
    assert (tmp_path / "policy.log.1").stat().st_size > 10 * 1024 * 1024
    assert last_error(log, since=since) == ("just a line", "")
    assert last_error(log, since=0) == ("old", "old fix")
    assert last_error(log, since=log.stat().st_size) == ("it printed nothing", "")
