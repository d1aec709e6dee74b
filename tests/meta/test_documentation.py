"""Every code block of the documentation is run, loaded or checked."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from busbar.cli.shared.documents import read_documents
from busbar.policy.adapters import load_environments, load_promises, load_rules, shipped
from meta.checkout import below, place, text
from meta.documentation import (
    SHELLS,
    Example,
    attributes_of,
    examples,
    make_scratch,
    mistakes,
    not_printed,
    pages,
    problem_with,
    script,
    transcript,
)
from meta.markdown import Block, blocks

EXAMPLES = [example for page in pages() for example in examples(page)]
IDS = [example.where for example in EXAMPLES]
RUNNABLE = [page for page in pages() if any(one.run == "scratch" for one in examples(page))]


def unclassified(page: Path) -> list[str]:
    return [
        f"{example.where} {example.block.language}: {problem}"
        for example in examples(page)
        if (problem := problem_with(example))
    ]


@pytest.mark.parametrize("page", [page for page in pages() if examples(page)], ids=place)
def test_every_block_says_how_it_is_tested(page: Path) -> None:
    found = unclassified(page)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("page", RUNNABLE, ids=place)
def test_what_needs_no_platform_runs(page: Path, tmp_path: Path) -> None:
    make_scratch(tmp_path, page)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # noqa: TID251 - handed on
    done = subprocess.run(
        ["bash"],  # noqa: S607 - the bash on PATH, as a reader has it
        input=script(page, run="scratch"),
        cwd=tmp_path,
        env={"PATH": path, "HOME": str(tmp_path), "BUSBAR_HOME": str(tmp_path / ".busbar")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert not_printed(page, tmp_path, run="scratch") == []


@pytest.mark.parametrize("example", EXAMPLES, ids=IDS)
def test_what_is_not_run_is_right_as_far_as_can_be_seen(example: Example, tmp_path: Path) -> None:
    language, code = example.block.language, example.block.code
    if language in SHELLS:
        assert mistakes(example) == []
    elif language == "python":
        compile(code, example.where, "exec")
    elif language == "toml":
        tomllib.loads(code)
    elif language == "json":
        json.loads(code)
    elif language == "yaml":
        check_yaml(example, tmp_path)


def check_yaml(example: Example, folder: Path) -> None:
    """Load a promise, rules or an intent as the product does."""
    code = example.block.code
    loaded = yaml.safe_load(code)
    kind = str(loaded.get("busbar", "")) if isinstance(loaded, dict) else ""
    (folder / "shown.yaml").write_text(f"{code}\n", encoding="utf-8")
    if "check" in example.attributes:
        return
    if kind.startswith("promise/"):
        assert not load_promises([folder]).broken
    elif kind.startswith("policy/"):
        load_rules([folder], shipped())
    elif kind.startswith("environments/"):
        assert load_environments(folder / "shown.yaml").names
    elif isinstance(loaded, dict) and "promise" in loaded:
        assert read_documents(code)


@pytest.mark.parametrize("page", below("docs/adr", suffix=".md"), ids=place)
def test_python_in_a_decision_can_be_compiled(page: Path) -> None:
    for block in blocks(text(page)):
        if block.language == "python":
            compile(block.code, place(page, block.line), "exec")


def example_of(language: str, code: str, info: str = "") -> Example:
    page = pages()[0]
    return Example(page, Block(language, 1, code, info), attributes_of(info))


@pytest.mark.parametrize(
    ("language", "code", "info"),
    [
        ("sh", "busbar get", ""),
        ("sh", "busbar get", "{run=somewhere}"),
        ("sh", "busbar get", '{check=""}'),
        ("sh", "busbar get", "{runs=platform}"),
        ("", "make test", ""),
        ("sql", "SELECT 1", ""),
    ],
)
def test_the_rule_sees_a_block_that_does_not_say_how(language: str, code: str, info: str) -> None:
    assert problem_with(example_of(language, code, info))


@pytest.mark.parametrize(
    "code",
    [
        "if true",
        "make invented",
        "cat docs/invented.md",
        "docker compose exec invented busbar get",
        "docker compose --profile invented up",
        "docker compose up --detach --scale invented=2",
        "python -m faults --invented",
    ],
)
def test_the_rule_sees_what_a_checked_block_gets_wrong(code: str) -> None:
    assert mistakes(example_of("sh", code, '{check="an example"}'))


@pytest.mark.parametrize(
    "code",
    [
        "make check test",
        "busbar secrets show <name> --reveal | head -n 1",
        "docker compose exec -T gateway busbar apply -f - < docs/how-to/orders.yaml",
        "docker compose --profile databases up --detach --wait --scale policy=2",
        "cd tests\n../.venv/bin/python -m faults --scenario apply --every 10  # a quick look",
    ],
)
def test_the_rule_lets_what_is_right_pass(code: str) -> None:
    assert mistakes(example_of("sh", code, '{check="an example"}')) == []


def test_a_transcript_has_commands_and_what_they_print() -> None:
    code = "$ busbar get \\\n    resources  # all\nteam  name\n\n$ true\n"
    assert transcript(code) == [("busbar get resources", ["team  name"]), ("true", [])]
