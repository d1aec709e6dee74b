"""The commands as a person types them: the demo, `up`, `run`, and what they say when they fail."""

import asyncio
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from busbar.cli.local import Platform
from busbar.cli.shared.exits import ExitCode
from support import eventually


async def busbar(
    *arguments: str, environment: Mapping[str, str] | None = None, stdin: str = ""
) -> tuple[int, str, str]:
    """Run the command; its exit code, output and errors."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "busbar",
        *arguments,
        env={**os.environ, **(environment or {})},  # noqa: TID251 - what a shell would pass on
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate(stdin.encode())
    return process.returncode or 0, out.decode(), errors.decode()


async def test_the_demo_plays_eight_acts_on_a_platform_of_its_own(tmp_path: Path) -> None:
    code, out, errors = await busbar("--home", str(tmp_path / "home"), "demo")
    assert code == 0, out + errors
    assert "All eight acts succeeded" in out
    assert out.count("✔") == 9


async def test_the_demo_attaches_to_a_running_platform(platform: Platform) -> None:
    code, out, errors = await busbar("--home", str(platform.home), "demo")
    assert code == 0, out + errors
    assert "Attaching" in out


async def test_replay_and_audit_check_agree_with_the_running_platform(platform: Platform) -> None:
    code, out, errors = await busbar("--home", str(platform.home), "replay")
    assert code == 0, out + errors
    assert "identical" in out
    code, out, errors = await busbar("--home", str(platform.home), "audit", "check")
    assert code == 0, out + errors


async def test_up_says_that_the_port_is_taken_before_it_starts_anything(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, out, errors = await busbar(
            "--home", str(tmp_path / "home"), "up", "--gateway-port", port
        )
    assert code == ExitCode.CONFIGURATION
    assert port in errors
    assert "--gateway-port" in errors
    assert "Traceback" not in out + errors


async def test_up_without_java_maven_or_docker_says_how_to_get_them(tmp_path: Path) -> None:
    empty = {"PATH": str(tmp_path), "JAVA_HOME": "", "KAFKA_BOOTSTRAP_SERVERS": ""}
    code, out, errors = await busbar(
        "--home", str(tmp_path / "home"), "up", "--gateway-port", "0", environment=empty
    )
    assert code == ExitCode.CONFIGURATION
    assert "apt-get install openjdk-17-jre-headless maven" in errors
    assert "Traceback" not in out + errors


async def test_a_broker_that_does_not_answer_is_named_and_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "busbar", "--home", str(tmp_path / "home")),
        *("up", "--gateway-port", "0"),
        env={
            **os.environ,  # noqa: TID251 - what a shell would pass on
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{port}",
            "PYTHONUNBUFFERED": "1",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        if process.stdout is None:
            raise RuntimeError("the process has no output")
        said = ""
        while "waiting" not in said:
            said = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
            assert said.startswith(("created an administrator", "waiting since "))
        assert "No Kafka broker answers at" in said
        assert f"127.0.0.1:{port}" in said
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 60) == ExitCode.OK
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_service_started_alone_without_kafka_lives_but_is_not_ready(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "busbar",
        "run",
        "policy",
        env={
            **os.environ,  # noqa: TID251 - what a shell would pass on
            "BUSBAR_HOME": str(tmp_path / "home"),
            "BUSBAR_HTTP_PORT_NUMBER": port,
            "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9",
        },
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with aiohttp.ClientSession() as session:

            async def health(path: str) -> int:
                async with session.get(f"http://127.0.0.1:{port}/{path}") as answer:
                    return answer.status

            assert await eventually(lambda: health("healthz"), within=20, what="life") == 200
            assert await health("readyz") == 503
    finally:
        process.terminate()
        _, errors = await process.communicate()
    assert process.returncode == 0
    assert b"Traceback" not in errors
