import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.cli.local.kafka import check_reachable, cluster, config, failures, ports, provide
from busbar.cli.local.kafka.docker import DockerKafka
from busbar.cli.local.kafka.probe import (
    find_docker,
    find_java,
    find_maven,
    java_major,
    java_version,
)
from busbar.kernel.errors import ConfigurationError

DEBIAN = """\
openjdk version "17.0.15" 2025-04-15
OpenJDK Runtime Environment (build 17.0.15+6-Debian-1deb12u1)
OpenJDK 64-Bit Server VM (build 17.0.15+6-Debian-1deb12u1, mixed mode, sharing)
"""


def script(folder: Path, name: str, body: str) -> Path:
    """An executable that stands in for a tool of the machine."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def says(folder: Path, name: str, output: str, *, code: int = 0) -> Path:
    return script(folder, name, f"cat >&2 <<'END'\n{output.rstrip()}\nEND\nexit {code}")


@pytest.mark.parametrize(
    ("output", "version", "major"),
    [
        (DEBIAN, "17.0.15", 17),
        ('java version "1.8.0_412"\nJava(TM) SE Runtime Environment', "1.8.0_412", 8),
        ('openjdk version "21-ea" 2023-09-19\n', "21-ea", 21),
        ('java version "25" 2025-09-16 LTS', "25", 25),
        ("Picked up JAVA_TOOL_OPTIONS: -Xmx1g\n" + DEBIAN, "17.0.15", 17),
        ('WARNING: something\r\nopenjdk version "11.0.2" 2019-01-15\r\n', "11.0.2", 11),
        ("openjdk 17.0.1 2021-10-19\nOpenJDK Runtime Environment", "17.0.1", 17),
        ("java 9\n", "9", 9),
    ],
)
def test_the_version_of_every_java_is_read(output: str, version: str, major: int) -> None:
    assert java_version(output) == version
    assert java_major(version) == major


@pytest.mark.parametrize("output", ["", "java: command not found", "Error: could not open `jvm'"])
def test_no_version_is_read_where_there_is_none(output: str) -> None:
    assert java_version(output) is None


def test_java_on_the_path_is_found(tmp_path: Path) -> None:
    path = says(tmp_path, "java", DEBIAN)
    java = find_java(search_path=str(tmp_path))
    assert (java.usable, java.version, java.path) == (True, "17.0.15", path)


def test_java_home_comes_before_the_path(tmp_path: Path) -> None:
    says(tmp_path / "path", "java", DEBIAN)
    path = says(tmp_path / "home" / "bin", "java", 'openjdk version "21.0.1" 2023-10-17')
    java = find_java(java_home=tmp_path / "home", search_path=str(tmp_path / "path"))
    assert (java.version, java.path) == ("21.0.1", path)


def test_a_wrong_java_home_is_named_and_not_passed_over(tmp_path: Path) -> None:
    says(tmp_path, "java", DEBIAN)
    java = find_java(java_home=tmp_path / "nowhere", search_path=str(tmp_path))
    assert java.problem is not None
    assert str(tmp_path / "nowhere") in java.problem
    assert "JAVA_HOME" in java.fix


def test_a_java_that_is_too_old_is_refused(tmp_path: Path) -> None:
    says(tmp_path, "java", 'openjdk version "11.0.2" 2019-01-15')
    java = find_java(search_path=str(tmp_path))
    assert java.problem is not None
    assert "11.0.2, which is too old" in java.problem


def test_a_java_that_fails_is_not_used(tmp_path: Path) -> None:
    says(tmp_path, "java", f"Unable to locate a Java Runtime.\n{DEBIAN}", code=1)
    java = find_java(search_path=str(tmp_path))
    assert java.problem is not None
    assert "Unable to locate a Java Runtime" in java.problem


def test_a_coloured_maven_is_found(tmp_path: Path) -> None:
    says(tmp_path, "mvn", "\x1b[0m\x1b[0m\x1b[1mApache Maven 3.8.7\x1b[m\nMaven home: /usr")
    assert find_maven(search_path=str(tmp_path)).version == "3.8.7"


def test_a_maven_without_java_is_not_usable(tmp_path: Path) -> None:
    says(tmp_path, "mvn", "The JAVA_HOME environment variable is not defined correctly", code=1)
    maven = find_maven(search_path=str(tmp_path))
    assert maven.problem is not None
    assert "JAVA_HOME environment variable" in maven.problem


def test_a_docker_engine_that_answers_is_found(tmp_path: Path) -> None:
    says(tmp_path, "docker", "28.1.1")
    assert find_docker(search_path=str(tmp_path)).version == "28.1.1"


@pytest.mark.parametrize("code", [0, 1])
def test_a_docker_command_without_an_engine_is_not_usable(tmp_path: Path, code: int) -> None:
    says(tmp_path, "docker", "\nCannot connect to the Docker daemon. Is it running?", code=code)
    docker = find_docker(search_path=str(tmp_path))
    assert docker.problem is not None
    assert "no engine: Cannot connect to the Docker daemon" in docker.problem


def test_a_docker_engine_that_hangs_is_given_up(tmp_path: Path) -> None:
    script(tmp_path, "docker", "exec /bin/cat /dev/zero > /dev/null")
    docker = find_docker(search_path=str(tmp_path), timeout=0.2)
    assert docker.problem is not None
    assert "no answer within 0.2 seconds" in docker.problem


@pytest.mark.parametrize(
    ("tool", "get_it"),
    [
        (find_java(search_path=os.devnull), "apt-get install openjdk-17-jre-headless"),
        (find_maven(search_path=os.devnull), "apt-get install maven"),
        (find_docker(search_path=os.devnull), "docker info"),
    ],
)
def test_a_missing_tool_says_how_to_get_it(tool: object, get_it: str) -> None:
    assert getattr(tool, "problem", None)
    assert get_it in getattr(tool, "fix", "")


def test_with_nothing_to_run_kafka_the_error_lists_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        provide(tmp_path, search_path=str(tmp_path))
    said = str(caught.value)
    for part in ("Java 17: there is no java", "Docker engine: there is no docker"):
        assert part in said
    assert "apt-get install openjdk-17-jre-headless maven" in said
    assert "KAFKA_BOOTSTRAP_SERVERS=host:port" in said


def test_docker_without_an_engine_says_how_to_do_without(tmp_path: Path) -> None:
    broker = DockerKafka(search_path=str(tmp_path))
    with pytest.raises(ConfigurationError, match="there is no docker on the PATH") as caught:
        broker.start()
    assert "openjdk-17-jre-headless" in caught.value.fix


@pytest.mark.parametrize("servers", ["nonsense", "host:0", "host:99999", ":9092", ","])
def test_servers_that_are_not_host_and_port_are_refused(tmp_path: Path, servers: str) -> None:
    with pytest.raises(ConfigurationError, match="No Kafka broker answers at"):
        provide(tmp_path, bootstrap=servers)


def test_servers_without_a_listener_are_named(tmp_path: Path) -> None:
    one, other = ports.choose(2)
    with pytest.raises(ConfigurationError, match="KAFKA_BOOTSTRAP_SERVERS") as caught:
        provide(tmp_path, bootstrap=f"127.0.0.1:{one}, 127.0.0.1:{other}")
    assert f"127.0.0.1:{one} (" in caught.value.problem
    assert f"127.0.0.1:{other} (" in caught.value.problem


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that gives everyone this answer and closes the connection; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        connection.recv(1024)
                        connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"",
        b"\0\0\0\x04\0\0\0\x01",
        b"\0\0\0\x06\0\0\0\x02\0\0",
        b"\0\0\0\x06\0\0\0\x01\0\x07",
        b"\xff\xff\xff\xff",
        b"\0\0\0\x10\0\0\0\x01\0\0\0\0\0\x01\0\x12\0\x05\0\x01",
    ],
)
def test_a_server_that_does_not_speak_kafka_is_not_taken_for_one(
    answer: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        answering(answer) as address,
        pytest.raises(ConfigurationError, match=f"{address} answers, but not as Kafka does"),
    ):
        check_reachable(address)
    assert caplog.records == []


async def test_a_server_that_never_answers_is_named_with_the_time_that_was_waited() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(TimeoutError, match=r"no answer within 0\.2 seconds"):
            cluster.check(address, timeout=0.2)


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert not ports.is_free(listener.getsockname()[1])


def test_chosen_ports_differ_and_are_free() -> None:
    chosen = ports.choose(20)
    assert len(set(chosen)) == 20
    assert all(ports.is_free(port) for port in chosen)


def read_properties_value(text: str) -> str:
    """The inverse of what is written, after java.util.Properties.load."""
    units: list[int] = []
    at = 0
    while at < len(text):
        if text[at] == "\\" and text[at + 1] == "u":
            units.append(int(text[at + 2 : at + 6], 16))
            at += 6
            continue
        at += text[at] == "\\"
        units.append(ord(text[at]))
        at += 1
    return b"".join(unit.to_bytes(2) for unit in units).decode("utf-16-be")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_folder_name_survives_the_properties_file(name: str) -> None:
    text = config.server_properties(port=1, controller_port=2, logs=Path("/data") / name)
    assert text.isascii()
    (line,) = [line for line in text.splitlines() if line.startswith("log.dirs=")]
    assert read_properties_value(line.removeprefix("log.dirs=")) == str(Path("/data") / name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            (
                "org.apache.kafka.common.KafkaException: failed to bind to 127.0.0.1:19392: Address"
                " already in use.\n\tat kafka.network.Acceptor\n"
            ),
            "port 19392 on 127.0.0.1 is in use",
        ),
        (
            "org.apache.kafka.common.KafkaException: Failed to acquire lock on file .lock in /x.",
            "another broker uses the folder",
        ),
        ("java.io.IOException: No space left on device", "The disk is full"),
        ("Error occurred\njava.lang.OutOfMemoryError: Java heap space", "not enough memory"),
        (
            (
                "2026-01-01T00:00:00,000+00:00 ERROR Exiting (kafka.Kafka$)\n"
                "org.apache.kafka.common.config.ConfigException: Invalid value x\n\tat y\n"
            ),
            "Invalid value x.",
        ),
        (
            "Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nUnrecognized option: -Xwrong\nError: no VM.",
            "starting: Unrecognized option: -Xwrong.",
        ),
        ("", "it printed nothing"),
    ],
)
def test_the_reason_for_a_failed_start_is_read_from_what_it_left(text: str, said: str) -> None:
    error = failures.explain(text, port=1, data=Path("/data"), log=Path("/data/server.log"))
    assert said in str(error)
    assert "\tat " not in str(error)
