import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from busbar.cli.local.kafka import KafkaServer, check_reachable, cluster, jars
from busbar.cli.local.kafka.probe import find_java, find_maven
from busbar.kernel.errors import ConfigurationError
from faults.fire.quorum import topics_made
from support import MakeTopic, RunningKafka, eventually

pytestmark = pytest.mark.kafka
MakeServer = Callable[..., KafkaServer]


@pytest.fixture(scope="module")
def jar_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    maven = find_maven()
    assert maven.path is not None, maven.fix
    return jars.ensure(jars.locate(tmp_path_factory.mktemp("home")), maven=maven.path)


@pytest.fixture
def make_server(jar_folder: Path) -> Iterator[MakeServer]:
    made: list[KafkaServer] = []

    def make(data: Path, *, port: int = 0, **options: object) -> KafkaServer:
        java = find_java()
        server = KafkaServer(data, jars=jar_folder, java=java, port=port, **options)  # type: ignore[arg-type]  # options of the test
        made.append(server)
        return server

    yield make
    for server in made:
        server.stop()


async def write(bootstrap: str, topic: str, *values: bytes) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        if topic not in await admin.list_topics():
            await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def read(bootstrap: str, topic: str, count: int) -> list[bytes | None]:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    async with consumer:
        return [(await consumer.getone()).value for _ in range(count)]


async def test_a_record_goes_through_the_session_broker(
    kafka: RunningKafka, topic: MakeTopic
) -> None:
    name = await topic(partitions=3)
    await write(kafka.bootstrap, name, b"there")
    assert await read(kafka.bootstrap, name, 1) == [b"there"]


async def test_the_controllers_log_shows_how_often_each_topic_was_created(
    tmp_path: Path, make_server: MakeServer
) -> None:
    server = make_server(tmp_path)
    server.start()
    admin = AIOKafkaAdminClient(bootstrap_servers=server.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic("once", 2, 1), NewTopic("twice", 1, 1)])
        await admin.delete_topics(["twice"])
        await admin.create_topics([NewTopic("twice", 1, 1)])
    finally:
        await admin.close()
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await eventually(lambda: server.pid is None, what="the death of the broker")
    server.start()
    assert topics_made(server.records) == {"once": 1, "twice": 2}


def test_a_controllers_log_without_its_beginning_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "__cluster_metadata-0"
    folder.mkdir()
    (folder / "00000000000000000123.log").touch()
    with pytest.raises(ValueError, match="not whole"):
        topics_made(tmp_path)


async def test_records_and_cluster_survive_kill_9_and_an_orderly_stop(
    tmp_path: Path, make_server: MakeServer
) -> None:
    server = make_server(tmp_path / "data with ünusual näme")
    server.start()
    first, bootstrap = server.pid, server.bootstrap
    cluster_id = cluster.describe(bootstrap).cluster_id
    await write(bootstrap, "facts", b"before")
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: server.pid is None, what="the death of the broker")

    server.start()
    assert server.pid not in {None, first}
    assert server.bootstrap == bootstrap
    assert await read(bootstrap, "facts", 1) == [b"before"]
    await write(bootstrap, "facts", b"after")
    server.stop()

    again = make_server(tmp_path / "data with ünusual näme", port=int(bootstrap.split(":")[1]))
    again.start()
    assert cluster.describe(bootstrap).cluster_id == cluster_id
    assert await read(bootstrap, "facts", 2) == [b"before", b"after"]


def test_a_broker_listens_on_loopback_and_keeps_what_topics_do_not_limit(
    tmp_path: Path, make_server: MakeServer
) -> None:
    server = make_server(tmp_path)
    server.start()
    log = server.log.read_text(encoding="utf-8")
    assert "\tauto.create.topics.enable = false" in log
    assert "\tlog.retention.ms = -1" in log
    addresses = {
        connection.laddr.ip
        for connection in psutil.Process(server.pid).net_connections(kind="tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert {address.removeprefix("::ffff:") for address in addresses} == {"127.0.0.1"}


def test_stop_leaves_no_process_and_no_listener(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path, retain=False)
    server.start()
    server.start()  # a broker that runs is left alone
    pid = server.pid
    assert pid is not None
    server.stop()
    server.stop()
    assert server.pid is None
    assert not psutil.pid_exists(pid)
    assert not (tmp_path / "records").exists()
    with pytest.raises(ConfigurationError, match="No Kafka broker answers"):
        check_reachable(server.bootstrap)


def test_a_port_in_use_is_named(tmp_path: Path, make_server: MakeServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        server = make_server(tmp_path, port=port)
        with pytest.raises(ConfigurationError, match=f"port {port} .* in use") as caught:
            server.start()
    assert "choose another port" in caught.value.fix
    assert server.pid is None


def test_a_folder_in_use_is_named(tmp_path: Path, make_server: MakeServer) -> None:
    make_server(tmp_path).start()
    other = make_server(tmp_path)
    with pytest.raises(ConfigurationError, match="another broker uses the folder") as caught:
        other.start()
    assert str(tmp_path) in caught.value.problem
    assert other.pid is None


def test_a_broker_that_cannot_start_says_why(tmp_path: Path, make_server: MakeServer) -> None:
    server = make_server(tmp_path, jvm_options=("-XX:MaxDirectMemorySize=nonsense",))
    with pytest.raises(ConfigurationError, match="MaxDirectMemorySize") as caught:
        server.start()
    assert str(tmp_path / "logs") in caught.value.fix
    assert server.pid is None


def test_progress_is_reported_with_seconds(tmp_path: Path, make_server: MakeServer) -> None:
    reports: list[tuple[str, float]] = []
    server = make_server(tmp_path, on_progress=lambda text, after: reports.append((text, after)))
    server.start()
    assert reports[-1][0] == f"Kafka answers on {server.bootstrap}"
    times = [after for _, after in reports]
    assert times == sorted(times)
    # Once a second, so that no line is shown twice with the same seconds.
    waiting = [after for text, after in reports if text.startswith("starting Kafka on")]
    assert all(later - earlier >= 1 for earlier, later in pairwise(waiting))


def test_a_broker_started_from_a_thread_outlives_that_thread(
    tmp_path: Path, make_server: MakeServer
) -> None:
    server = make_server(tmp_path)
    thread = threading.Thread(target=server.start)
    thread.start()
    thread.join()
    check_reachable(server.bootstrap)
    assert server.pid is not None


@pytest.fixture
def owner(tmp_path: Path, jar_folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process that starts a broker, prints its pid and waits."""
    program = tmp_path / "owner.py"
    program.write_text(
        textwrap.dedent(f"""
            import pathlib, signal
            from busbar.cli.local.kafka import KafkaServer
            from busbar.cli.local.kafka.probe import find_java
            server = KafkaServer(
                pathlib.Path({str(tmp_path)!r}), jars=pathlib.Path({str(jar_folder)!r}),
                java=find_java(),
            )
            server.start()
            print(server.pid, flush=True)
            signal.pause()
        """),
        encoding="utf-8",
    )
    command = [sys.executable, str(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - ours
        yield process
        process.kill()


if sys.platform == "linux":  # elsewhere nothing ties a child to its parent

    async def test_a_broker_dies_with_the_process_that_started_it(
        owner: "subprocess.Popen[bytes]",
    ) -> None:
        assert owner.stdout is not None
        broker = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
        owner.wait()
        await eventually(lambda: not broker.is_running(), what="the broker's end")


@pytest.fixture
def source(tmp_path: Path) -> jars.JarSource:
    pom = tmp_path / "pom.xml"
    pom.write_text("<project/>", encoding="utf-8")
    return jars.JarSource(pom=pom, folder=tmp_path / "lib")


def fake_maven(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "mvn"
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_broken_maven_is_reported_with_its_last_lines(
    tmp_path: Path, source: jars.JarSource
) -> None:
    maven = fake_maven(
        tmp_path,
        "echo '[INFO] Scanning for projects...'\n"
        "echo '[ERROR] The POM is wrong: \033[1mthe packaging is missing\033[m'\n"
        "echo '[ERROR] from https://user:secret@repository.example/maven'\n"
        "echo '\tat org.apache.maven.Something.run(Something.java:1)'\n"
        "echo '[ERROR] Re-run Maven using the -X switch to enable full debug logging.'\n"
        "echo '[ERROR] '\nexit 3",
    )
    with pytest.raises(ConfigurationError, match=r"Maven failed \(exit code 3\)") as caught:
        jars.ensure(source, maven=maven)
    said = str(caught.value)
    assert "The POM is wrong: the packaging is missing" in said
    assert ".maven.log" in caught.value.fix
    for noise in ("Something.java", "-X switch", "Scanning", "secret"):
        assert noise not in said
    assert jars.find(source) is None


def test_a_missing_network_says_so(tmp_path: Path, source: jars.JarSource) -> None:
    maven = fake_maven(tmp_path, "echo '[ERROR] Unknown host repository.example'; exit 1")
    with pytest.raises(ConfigurationError, match="Unknown host") as caught:
        jars.ensure(source, maven=maven)
    assert "network" in caught.value.fix


def test_a_maven_that_hangs_is_given_up(tmp_path: Path, source: jars.JarSource) -> None:
    maven = fake_maven(tmp_path, "echo $$ > pid; exec tail -f /dev/null")
    reports: list[str] = []
    with pytest.raises(ConfigurationError, match="within 1 seconds"):
        jars.ensure(
            source, maven=maven, timeout=1, on_progress=lambda text, _: reports.append(text)
        )
    (pid,) = [int(path.read_text()) for path in source.folder.glob("*/pid")]
    assert not psutil.pid_exists(pid)
    assert reports[0] == "fetching Kafka's jars: 0 so far"


@pytest.mark.parametrize("harm", ["cut off", "jar gone", "jar cut", "pom changed"])
def test_jars_that_are_not_complete_are_fetched_again(
    tmp_path: Path, source: jars.JarSource, harm: str
) -> None:
    maven = fake_maven(tmp_path, "echo run >> ../runs; echo jar > a.jar; echo jar > b.jar")
    folder = jars.ensure(source, maven=maven)
    assert jars.ensure(source, maven=maven) == folder
    runs = source.folder / "runs"
    assert runs.read_text().count("run") == 1
    match harm:
        case "cut off":
            (folder / "complete.json").unlink()
        case "jar gone":
            (folder / "b.jar").unlink()
        case "jar cut":
            (folder / "b.jar").write_bytes(b"j")
        case _:
            source.pom.write_text("<project>new</project>", encoding="utf-8")
    again = jars.ensure(source, maven=maven)
    assert runs.read_text().count("run") == 2
    assert sorted(jar.name for jar in again.glob("*.jar")) == ["a.jar", "b.jar"]
    assert (again == folder) is (harm != "pom changed")


def test_two_starters_fetch_the_jars_once(tmp_path: Path, source: jars.JarSource) -> None:
    maven = fake_maven(
        tmp_path,
        "echo run >> ../runs; n=0\n"
        "while [ ! -e ../go ] && [ $((n += 1)) -lt 200 ]; do sleep 0.05; done\n"
        "echo jar > a.jar",
    )
    reports: list[str] = []

    def report(text: str, _after: float) -> None:
        reports.append(text)
        if text.startswith("another process"):
            (source.folder / "go").touch()

    threads = [
        threading.Thread(
            target=jars.ensure, args=(source,), kwargs={"maven": maven, "on_progress": report}
        )
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (source.folder / "runs").read_text().count("run") == 1
    assert jars.find(source) is not None


def test_all_homes_share_the_jars_of_a_checkout(tmp_path: Path) -> None:
    located = jars.locate(tmp_path)
    assert located.folder == located.pom.parent / "lib"
