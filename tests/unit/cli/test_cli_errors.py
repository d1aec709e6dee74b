import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.testing import CliRunner

from busbar.cli.app import app
from busbar.cli.commands import get as get_command
from busbar.cli.lazy import COMMANDS, load
from busbar.cli.shared import connect
from busbar.cli.shared.exits import MEANINGS, ExitCode
from busbar.cli.shared.options import hoist_global_options
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.token import ensure_token
from busbar.runtime.core.version import VERSION
from busbar.sdk import RetryPolicy
from busbar.sdk.discovery import read_token
from unit.sdk.fake_gateway import FakeGateway, problem
from unit.sdk.running import Run

DOCS = Path(__file__).parents[3] / "docs" / "how-to" / "use-the-cli.md"


def leaves() -> list[tuple[str, ...]]:
    """Every command of ours; the contract tools under ``schema`` speak for themselves."""
    found: list[tuple[str, ...]] = []
    for name in COMMANDS:
        loaded = load(name)
        found.append((name,))
        if isinstance(loaded, TyperGroup) and name != "schema":
            found += [(name, own) for own in loaded.commands]
    return found


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SHORT_RETRY", "_STEADY_RETRY"):
        monkeypatch.setattr(connect, name, RetryPolicy(attempts=1))


@pytest.mark.parametrize("path", leaves(), ids=" ".join)
def test_the_help_of_every_command_has_an_example_that_names_it(path: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*path, "--help"])
    assert result.exit_code == 0
    assert re.search(rf"Example: busbar {' '.join(path)}\b", " ".join(result.stdout.split()))


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_what_each_command_says(name: str) -> None:
    listed, own = COMMANDS[name].help.rstrip("."), str(load(name).help)
    assert listed.split()[0] == own.split(maxsplit=1)[0] or name in {"schema", "demo"}
    assert listed[0].isupper()


def test_the_help_and_the_documentation_list_every_exit_code() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"]).stdout.split())
    documented = DOCS.read_text(encoding="utf-8")
    assert set(MEANINGS) == set(ExitCode)
    for code, meaning in MEANINGS.items():
        assert f"{code.value} {meaning}" in shown
        assert f"| {code.value} | {meaning} |" in documented


def test_the_documentation_names_every_command() -> None:
    documented = DOCS.read_text(encoding="utf-8")
    for path in leaves():
        assert f"busbar {' '.join(path)}" in documented


def test_help_loads_neither_the_client_nor_the_runtime() -> None:
    code = (
        "import sys\nfrom busbar.cli.app import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([name for name in ('pydantic', 'aiohttp', 'sqlalchemy') if name in sys.modules])"
    )
    ran = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert ran.stdout.splitlines()[-1] == "[]"


def test_python_dash_m_busbar_is_the_command() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "busbar", "version"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert ran.stdout.startswith(f"busbar {VERSION}")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, 2),
        (401, 9),
        (403, 3),
        (404, 6),
        (409, 3),
        (413, 2),
        (422, 2),
        (429, 7),
        (500, 1),
        (503, 7),
    ],
)
def test_problems_become_exit_codes_and_two_lines(
    busbar: Run, gateway: FakeGateway, status: int, code: int
) -> None:
    gateway.failures = [problem(status, "x", "it does not work", "do something else")]
    result = busbar("get", "a/b/c/d")
    assert result.exit_code == code
    assert result.stderr.splitlines() == [
        "error: Refused: it does not work",
        "fix: Do something else.",
    ]


def test_a_gateway_that_does_not_answer_is_exit_code_7(busbar: Run) -> None:
    result = busbar("--url", "http://127.0.0.1:9", "get")
    assert result.exit_code == 7
    assert "http://127.0.0.1:9 does not answer" in result.stderr


def test_no_platform_at_all_is_exit_code_7_and_says_how_to_start_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--home", str(tmp_path / "none"), "get"])
    assert result.exit_code == 7
    assert "busbar up" in result.stderr
    assert not (tmp_path / "none").exists()


def test_a_token_that_others_can_read_is_refused(busbar: Run, home: Path) -> None:
    (home / "token").chmod(0o644)
    result = busbar("get")
    assert result.exit_code == 9
    assert f"chmod 600 {home / 'token'}" in " ".join(result.stderr.split())


@pytest.mark.parametrize("token", ["hunter2\nx", "hunter2\x01x", "hunter2\x7f"])
def test_a_token_with_a_control_character_is_exit_code_9(
    busbar: Run, home: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    (home / "token").write_text(token)
    of_file = busbar("get")
    monkeypatch.setenv("BUSBAR_TOKEN", token)
    for result in (of_file, busbar("get")):
        assert result.exit_code == 9
        assert "printable ASCII" in result.stderr
        assert "hunter2" not in result.output


def test_a_setting_that_does_not_fit_is_exit_code_9(
    busbar: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUSBAR_LOG_LEVEL", "LOUD")
    result = busbar("get")
    assert result.exit_code == 9
    assert "LOG_LEVEL" in result.stderr


def test_a_bug_is_one_sentence_and_a_file(busbar: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: Any) -> None:
        raise ZeroDivisionError("hunter2")

    monkeypatch.setattr(get_command, "show_resources", broken)
    result = busbar("get")
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert result.stderr.startswith("error: Unexpected error: ZeroDivisionError")
    kept = re.search(r"\S+busbar-error-\w+\.txt", result.stderr)
    assert kept is not None
    text = Path(kept[0]).read_text(encoding="utf-8")
    Path(kept[0]).unlink()
    assert "ZeroDivisionError: hunter2" in text
    shown = busbar("get", "--debug")
    assert "ZeroDivisionError: hunter2" in shown.stderr
    assert "busbar-error-" not in shown.stderr


def test_colours_are_omitted_where_the_output_is_not_a_terminal(
    busbar: Run, gateway: FakeGateway
) -> None:
    gateway.resources = [{"id": "a/b/c/d", "status": "ready"}]
    assert "\x1b" not in busbar("get").output


def test_global_options_may_stand_anywhere_but_not_behind_two_hyphens() -> None:
    assert hoist_global_options(["get", "x", "--url", "u", "--debug", "--home=h"]) == [
        "--url",
        "u",
        "--debug",
        "--home=h",
        "get",
        "x",
    ]
    assert hoist_global_options(["get", "--", "--url", "u"]) == ["get", "--", "--url", "u"]
    assert hoist_global_options(["get", "--url"]) == ["get", "--url"]


def test_a_token_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "token"
    made = ensure_token(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(made.get_secret_value()) >= 43
    assert ensure_token(path) == read_token(path) == made
    path.write_text("\n")
    with pytest.raises(ConfigurationError, match="empty"):
        read_token(path)


def test_running_an_unknown_service_is_exit_code_9(busbar: Run) -> None:
    result = busbar("run", "nonsense")
    assert result.exit_code == 9
    assert "There is no service called 'nonsense'" in result.stderr
    assert "Traceback" not in result.output


def test_the_doctor_says_row_by_row_what_is_missing(
    busbar: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.devnull)
    home.chmod(0o755)
    result = busbar("doctor", "-o", "json")
    report = json.loads(result.stdout)
    found = {row["name"]: row for row in report["checks"]}
    assert result.exit_code == 9
    assert report["works"] is False
    assert not found["Kafka"]["ok"]
    assert f"chmod 700 {home}" in found["Home"]["fix"]
    assert found["Python"]["ok"]
    assert all(row["fix"] for row in report["checks"] if not row["ok"] and row["needed"])
    shown = busbar("doctor").stdout
    (home_row,) = [line for line in shown.splitlines() if line.startswith("Home ")]
    assert " error " in home_row
    assert "missing" not in home_row
