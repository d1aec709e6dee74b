"""The how-to teaches the whole rule language, and what it shows works as it is shown."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from busbar.messages.resource import ApplyResource
from busbar.policy.adapters import check_rules, shipped
from busbar.policy.domain.rules import (
    EFFECTS,
    EXPECTATIONS,
    PLACEHOLDERS,
    Lift,
    Rule,
    RuleCondition,
    RuleExample,
    RuleFile,
    RuleMatch,
)
from meta.checkout import ROOT, text
from meta.markdown import blocks, inline_code, prose

PAGE = text(ROOT / "docs" / "how-to" / "write-a-rule.md")
FILES = [block.code + "\n" for block in blocks(PAGE) if block.language == "yaml"]
EXPLAINED = {code for _, code in inline_code(PAGE)}


def fields_of(model: type[BaseModel]) -> set[str]:
    return {info.alias or name for name, info in model.model_fields.items()}


OPERATORS = sorted(fields_of(RuleCondition) - {"pointer"})
WORDS = sorted(
    {
        *(
            word
            for model in (RuleFile, Rule, RuleMatch, RuleCondition, RuleExample, Lift)
            for word in fields_of(model)
        ),
        *EFFECTS,
        *EXPECTATIONS,
        *(f"${{{name}}}" for name in PLACEHOLDERS),
        *(f"/{name}" for name in ApplyResource.model_fields),
    }
)


@pytest.mark.parametrize("word", WORDS)
def test_every_word_of_the_language_is_explained(word: str) -> None:
    assert word in EXPLAINED


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_operator_has_a_row_of_its_own(operator: str) -> None:
    rows = [line for _, line in prose(PAGE) if line.startswith(f"| `{operator}` |")]
    assert len(rows) == 1
    assert rows[0].count("|") == 4


@pytest.mark.parametrize("file", FILES)
def test_a_rule_file_that_is_shown_is_in_order(tmp_path: Path, file: str) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(file, encoding="utf-8")
    (checked,) = check_rules([path], shipped(), with_shipped="lifts:" in file)[-1:]
    assert checked.problems == ()
    assert checked.content
    for rule in checked.content.rules:
        assert {example.expect for example in rule.examples} > {"allowed"}, rule.name


def test_every_operator_is_shown_in_a_file() -> None:
    shown = {name for file in FILES for name in re.findall(r"pointer: \S+, (\w+):", file)}
    assert shown == set(OPERATORS)


@pytest.fixture
def first_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = Path("rules") / "database-rules.yaml"
    file.parent.mkdir()
    file.write_text(FILES[0], encoding="utf-8")
    return file


def edited(file: Path, old: str, new: str) -> str:
    """Everything that is wrong with ``file`` after an edit."""
    before = file.read_text(encoding="utf-8")
    assert old in before
    file.write_text(before.replace(old, new), encoding="utf-8")
    (checked,) = check_rules([file], shipped(), with_shipped=False)
    assert checked.content is None
    return checked.error("rule").problem.replace("rules/", "")


def test_the_error_that_is_shown_for_a_pointer_is_the_one_that_is_raised(first_file: Path) -> None:
    assert edited(first_file, "/spec/conn", "/sepc/conn") in " ".join(PAGE.split())


def test_the_error_that_is_shown_for_an_example_is_the_one_that_is_raised(first_file: Path) -> None:
    edited(first_file, "greater_than: 50", "greater_than: 60")
    ((problem, *_),) = (
        checked.problems for checked in check_rules([first_file], shipped(), with_shipped=False)
    )
    assert problem.position is not None
    assert f"line {problem.position.line}: {problem.problem}" in PAGE
    assert f"fix: {problem.fix}" in PAGE
