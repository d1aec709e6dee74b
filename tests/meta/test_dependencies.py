"""Every dependency was chosen: ADR 8 says what for, what else there was, and why this one."""

import re
import tomllib
from pathlib import Path

import pytest

from meta.checkout import ROOT, text

DECISION = ROOT / "docs" / "adr" / "0008-libraries.md"
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")
ROW = re.compile(r"^\|\s*`(?P<name>[^`\[]+)(\[[^\]]*\])?`\s*\|(?P<rest>.*)\|\s*$", re.MULTILINE)
COLUMNS = 4
INPUTS = sorted((ROOT / "requirements").glob("*.in"))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def named_in(path: Path) -> set[str]:
    lines = (line.strip() for line in text(path).splitlines())
    return {normal(match.group()) for line in lines if (match := NAME.match(line))}


def rows() -> dict[str, list[str]]:
    return {
        normal(match["name"]): [cell.strip() for cell in match["rest"].split("|")]
        for match in ROW.finditer(text(DECISION))
    }


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name)
def test_every_dependency_has_a_row_in_the_decision(path: Path) -> None:
    assert sorted(named_in(path) - rows().keys()) == []


def test_the_decision_has_no_row_for_what_nothing_depends_on() -> None:
    wanted = {name for path in INPUTS for name in named_in(path)}
    assert sorted(rows().keys() - wanted) == []


def test_no_row_has_an_empty_cell() -> None:
    thin = [name for name, cells in rows().items() if len(cells) != COLUMNS or not all(cells)]
    assert thin == []


def test_the_package_declares_what_is_locked_for_it() -> None:
    declared = tomllib.loads(text(ROOT / "pyproject.toml"))["project"]["dependencies"]
    names = {normal(match.group()) for line in declared if (match := NAME.match(line))}
    building = {"hatchling", "editables"}
    assert names == named_in(ROOT / "requirements" / "runtime.in") - building
