"""``busbar health`` reports whether services are ready, for people and for containers."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from busbar.cli.app import app

Serve = Callable[[str, dict[str, str]], int]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Runs a service that has the given problems, and says its port."""
    servers: list[http.server.HTTPServer] = []
    (tmp_path / "run").mkdir()

    def start(name: str, problems: dict[str, str]) -> int:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                service = name.partition(".")[0]
                answer = {"service": service, "ready": not problems, "problems": problems}
                body = json.dumps(answer).encode()
                asked = self.path == "/readyz"
                self.send_response((503 if problems else 200) if asked else 404)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Print nothing."""

        server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        entry = json.dumps({"pid": 1, "url": url})
        (tmp_path / "run" / f"{name}.json").write_text(entry, encoding="utf-8")
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def health(tmp_path: Path, no_settings: None) -> Callable[..., Result]:  # noqa: ARG001 - for what it does
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["--home", str(tmp_path), "health", *arguments])

    return run


def test_a_home_whose_services_are_ready_is_healthy(
    serve: Serve, health: Callable[..., Result]
) -> None:
    serve("policy", {})
    serve("audit.2", {})
    result = health()
    assert result.exit_code == 0
    assert result.stdout.split("\n")[:2] == ["audit.2 is ready", "policy is ready"]


def test_one_service_that_is_not_ready_is_exit_code_7_and_says_why(
    serve: Serve, health: Callable[..., Result]
) -> None:
    serve("policy", {})
    serve("audit", {"kafka": "the broker does not answer"})
    result = health()
    assert result.exit_code == 7
    assert "audit: kafka: the broker does not answer" in result.stderr
    assert health("policy").exit_code == 0
    assert health("audit").exit_code == 7


def test_a_service_that_has_gone_is_not_healthy(
    serve: Serve, health: Callable[..., Result], tmp_path: Path
) -> None:
    serve("policy", {})
    entry = json.dumps({"pid": 1, "url": "http://127.0.0.1:1"})
    (tmp_path / "run" / "audit.json").write_text(entry, encoding="utf-8")
    result = health()
    assert result.exit_code == 7
    assert "audit: it does not answer" in result.stderr


def test_a_port_that_another_service_took_over_is_not_healthy(
    serve: Serve, health: Callable[..., Result], tmp_path: Path
) -> None:
    port = serve("policy", {})
    entry = json.dumps({"pid": 1, "url": f"http://127.0.0.1:{port}"})
    (tmp_path / "run" / "audit.json").write_text(entry, encoding="utf-8")
    result = health("audit")
    assert result.exit_code == 7
    assert "audit: another program answers on its port" in result.stderr


@pytest.mark.parametrize("entry", ["", "{}", '{"pid": 1, "url": "nowhere"}'])
def test_an_entry_that_cannot_be_read_is_not_healthy(
    health: Callable[..., Result], tmp_path: Path, entry: str
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "policy.json").write_text(entry, encoding="utf-8")
    result = health()
    assert result.exit_code == 7
    assert "it is not listening yet" in result.stderr


def test_a_home_without_services_is_not_healthy_and_says_how_to_start_some(
    health: Callable[..., Result],
) -> None:
    result = health()
    assert result.exit_code == 7
    assert "busbar up" in result.stderr
    assert health("policy").exit_code == 7


def test_a_service_that_does_not_exist_is_a_mistake_and_not_unhealthy(
    health: Callable[..., Result],
) -> None:
    result = health("nosuch")
    assert result.exit_code == 9
    assert "There is no service called 'nosuch'." in result.stderr
    assert "policy, provisioner" in result.stderr
