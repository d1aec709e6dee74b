"""Commands that read files say so if the platform that runs here was started with others."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from busbar.cli.local.files import files_of, state_of
from busbar.cli.local.home import HomeLock, write_state
from busbar.runtime.core.settings import load_settings
from unit.sdk.running import Run

RULES = """busbar: policy/v1
rules:
  - name: never-here
    effect: deny
    message: not here
    fix: elsewhere
"""


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of rules that BUSBAR_POLICIES names, relative to where the command runs."""
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "mine.yaml").write_text(RULES, encoding="utf-8")
    monkeypatch.setenv("BUSBAR_POLICIES", "rules")
    return folder


@pytest.fixture
def platform(home: Path, no_settings: None, rules: Path) -> Iterator[Path]:  # noqa: ARG001 - set up
    """A home whose platform was started with the files of this shell."""
    write_state(home, state_of(files_of(load_settings(home=home))))
    lock = HomeLock(home)
    lock.acquire()
    yield home
    lock.release()


@pytest.mark.parametrize("command", [("rules", "list"), ("environments",)])
def test_a_platform_with_the_same_files_needs_no_note(
    busbar: Run, platform: Path, command: tuple[str, ...]
) -> None:
    assert platform.exists()
    assert busbar(*command).stderr == ""


@pytest.mark.parametrize("command", [("rules", "list"), ("environments",)])
def test_a_platform_with_other_files_is_noted_beside_the_output(
    busbar: Run, platform: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.delenv("BUSBAR_POLICIES")
    listed = busbar(*command, "-o", "json")
    assert listed.exit_code == 0
    assert json.loads(listed.stdout)
    said = " ".join(listed.stderr.split())
    assert f"BUSBAR_POLICIES is {platform.parent / 'rules'} there and not set here" in said
    assert "BUSBAR_ENVIRONMENTS" not in said


def test_doctor_has_a_row_for_it(
    busbar: Run, platform: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def files() -> list[dict[str, object]]:
        found = json.loads(busbar("doctor", "-o", "json").stdout)["checks"]
        return [row for row in found if row["name"] == "Files"]

    assert platform.exists()
    assert files() == []
    monkeypatch.delenv("BUSBAR_POLICIES")
    (row,) = files()
    assert (row["ok"], row["needed"]) == (False, False)
    assert "BUSBAR_POLICIES" in str(row["detail"])


def test_files_that_are_named_need_no_note(
    busbar: Run, platform: Path, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert platform.exists()
    monkeypatch.delenv("BUSBAR_POLICIES")
    assert busbar("rules", "list", str(rules)).stderr == ""


def test_another_gateway_is_named(busbar: Run) -> None:
    listed = busbar("--url", "http://elsewhere.example:8642", "environments")
    assert "http://elsewhere.example:8642 may use others" in " ".join(listed.stderr.split())
