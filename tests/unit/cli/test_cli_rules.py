"""`busbar rules`: rule files are checked and listed without a platform."""

import json
from pathlib import Path

import pytest

from unit.sdk.running import Run

FILE = """
busbar: policy/v1
rules:
  - name: limit
    match: {environment: [dev], promise: [event-stream]}
    when:
      - {pointer: /spec/partitions, greater_than: 3}
    effect: deny
    message: too much
    fix: ask for 3
    examples:
      - title: Four
        given: {team: a, environment: dev, promise: event-stream, name: x, spec: {partitions: 4}}
        expect: denied
  - {name: bare, effect: warn, message: m, fix: f}
"""


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "good.yaml").write_text(FILE, encoding="utf-8")
    return folder


def test_rules_whose_examples_come_out_as_expected_are_in_order(busbar: Run, rules: Path) -> None:
    result = busbar("rules", "check", str(rules))

    assert result.exit_code == 0
    assert "good.yaml  2 rules, 1 example\n" in result.stdout
    assert "bare has no examples" in result.stdout


def test_an_example_that_comes_out_otherwise_is_shown_with_its_line_and_ends_with_9(
    busbar: Run, rules: Path
) -> None:
    (rules / "wrong.yaml").write_text(
        FILE.replace("name: limit", "name: second")
        .replace("expect: denied", "expect: allowed")
        .replace("name: bare", "name: other"),
        encoding="utf-8",
    )

    result = busbar("rules", "check", str(rules))

    assert result.exit_code == 9
    assert "good.yaml  2 rules" in result.stdout
    assert "wrong.yaml" in result.stdout
    assert "line 14: rule second, example 'Four': allowed is expected" in result.stdout
    assert "fix: correct the rule or the example" in result.stdout


def test_a_placeholder_without_a_closing_brace_does_not_pass_the_check(
    busbar: Run, rules: Path
) -> None:
    (rules / "good.yaml").write_text(FILE.replace("too much", "more than ${team"), encoding="utf-8")
    result = busbar("rules", "check", str(rules))

    assert result.exit_code == 9
    assert "'${team' has no closing brace" in result.stdout + result.stderr


def test_what_is_wrong_is_json_for_programs(busbar: Run, rules: Path) -> None:
    file = rules / "good.yaml"
    file.write_text(FILE.replace("greater_than", "matches"), encoding="utf-8")

    result = busbar("rules", "check", str(file), "-o", "json")

    assert result.exit_code == 9
    shown = json.loads(result.stdout)
    assert shown["ok"] is False
    (checked,) = shown["files"]
    assert (checked["path"], checked["ok"]) == (str(file), False)
    assert checked["problems"][0]["line"] == 7
    assert checked["problems"][0]["place"] == "rules.0.when.0.matches"


def test_a_path_that_is_not_there_is_a_usage_error(busbar: Run) -> None:
    assert busbar("rules", "check", "nowhere").exit_code == 2


def test_without_a_path_the_rules_in_force_are_checked_and_listed(
    busbar: Run, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "house-rules.yaml  4 rules" in busbar("rules", "check").stdout

    monkeypatch.setenv("BUSBAR_POLICIES", str(rules))

    checked = busbar("rules", "check").stdout
    assert "good.yaml  2 rules" in checked
    assert "house-rules.yaml  4 rules" in checked
    assert "limit" in busbar("rules", "list").stdout


def test_rules_are_listed_by_name_with_what_they_are_about(busbar: Run, rules: Path) -> None:
    table = busbar("rules", "list", str(rules)).stdout.splitlines()
    assert [line.split()[:4] for line in table[1:]] == [
        ["bare", "warn", "*", "*"],
        ["limit", "deny", "event-stream", "dev"],
    ]

    listed = json.loads(busbar("rules", "list", str(rules), "-o", "json").stdout)
    assert [(rule["name"], rule["examples"]) for rule in listed] == [("bare", 0), ("limit", 1)]
    assert listed[1]["match"]["environment"] == ["dev"]


def test_a_folder_without_rules_does_not_pass_the_check(busbar: Run, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    result = busbar("rules", "check", str(empty))
    assert result.exit_code == 9
    assert "no rule files" in result.stdout
    assert "*.yaml" in result.stdout
    as_json = busbar("rules", "check", str(empty), "-o", "json")
    assert as_json.exit_code == 9
    assert json.loads(as_json.stdout) == {"ok": False, "files": []}
    assert "no rules" in busbar("rules", "list", str(empty)).stdout


def test_a_rule_that_cannot_fire_is_shown_with_its_line_its_pointer_and_what_was_meant(
    busbar: Run, rules: Path
) -> None:
    file = rules / "good.yaml"
    file.write_text(FILE.replace("/spec/partitions", "/spec/partition"), encoding="utf-8")

    shown = busbar("rules", "check", str(rules))
    assert shown.exit_code == 9
    assert "line 7: '/spec/partition' is in no intent that the rule is about" in shown.stdout
    assert "did you mean 'partitions'?" in shown.stdout


@pytest.mark.parametrize("command", ["up", "doctor"])
def test_a_rule_file_that_is_broken_is_found_before_anything_is_started(
    busbar: Run, rules: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    (rules / "good.yaml").write_text(FILE.replace("[dev]", "[dve]"), encoding="utf-8")
    monkeypatch.setenv("BUSBAR_POLICIES", str(rules))

    result = busbar(command)

    assert result.exit_code == 9
    said = " ".join((result.stdout + result.stderr).split())
    assert "there is no environment 'dve'" in said
    assert "did you mean 'dev'?" in said


def test_the_declared_environments_are_listed_in_order(
    busbar: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = busbar("environments").stdout.splitlines()
    assert [line.split()[0] for line in table[1:]] == ["dev", "test", "stage", "prod"]

    own = tmp_path / "own.yaml"
    own.write_text(
        "busbar: environments/v1\nenvironments: [{name: live, title: Live, order: 1}]\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("BUSBAR_ENVIRONMENTS", str(own))
    listed = json.loads(busbar("environments", "-o", "json").stdout)
    assert listed == [{"name": "live", "title": "Live", "order": 1, "labels": {}}]


def test_environments_that_are_wrongly_declared_are_shown_with_their_line(
    busbar: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("busbar: environments/v1\nenvironments:\n  - {nam: live}\n", encoding="utf-8")
    monkeypatch.setenv("BUSBAR_ENVIRONMENTS", str(own))

    for command in (("environments",), ("up",), ("doctor",), ("rules", "check")):
        result = busbar(*command)
        assert result.exit_code == 9
        assert "line 3" in " ".join((result.stdout + result.stderr).split())


def test_every_command_refuses_a_variable_that_is_not_a_setting_unless_for_help(
    busbar: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUSBAR_POLICYS", "rules")

    for command in (("version",), ("schema", "list"), ("get",), ("up",), ("rules", "check")):
        result = busbar(*command)
        assert result.exit_code == 9
        assert "BUSBAR_POLICYS is not a setting; did you mean BUSBAR_POLICIES?" in result.stderr
        assert busbar(*command, "--help").exit_code == 0


def test_a_broken_file_is_not_listed(busbar: Run, rules: Path) -> None:
    (rules / "good.yaml").write_text("busbar: [", encoding="utf-8")

    result = busbar("rules", "list", str(rules))

    assert result.exit_code == 9
    assert "is broken: line 1" in result.stderr
