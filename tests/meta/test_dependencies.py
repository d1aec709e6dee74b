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


def declared(project: Path) -> set[str]:
    lines = tomllib.loads(text(project))["project"]["dependencies"]
    return {normal(match.group()) for line in lines if (match := NAME.match(line))}


def pinned(name: str) -> dict[str, str]:
    lines = text(ROOT / "requirements" / name).splitlines()
    pins = (line.split(" ")[0].partition("==") for line in lines if "==" in line)
    return {normal(package): version for package, _, version in pins}


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


@pytest.mark.parametrize(("project", "input_"), [("services", "sdk.in"), (".", "runtime.in")])
def test_every_direct_dependency_is_locked(project: str, input_: str) -> None:
    names = declared(ROOT / project / "pyproject.toml") - {"busbar-sdk"}
    building = {"hatchling", "editables"}
    locked = named_in(ROOT / "requirements" / input_) - building
    assert locked <= names
    assert names - locked <= named_in(ROOT / "requirements" / "sdk.in")


def test_the_sdk_is_locked_as_the_platform_is() -> None:
    platform, sdk = pinned("runtime.txt"), pinned("sdk.txt")
    assert sdk.items() <= platform.items()
    assert named_in(ROOT / "requirements" / "sdk.in") <= sdk.keys()
