"""The product has one YAML loader, so that no file is read in two dialects (ADR 19)."""

import re

import pytest

from meta.checkout import below, place, text

LOADER = "services/busbar/runtime/core/yaml.py"
LOADS = re.compile(
    r"\byaml\.(safe_|full_|unsafe_)?(load|load_all|compose|parse|scan)\(|SafeLoader|CLoader"
)
OURS = re.compile(r"from busbar\.runtime\.core import .*\byaml\b")


def loads_by_itself(code: str) -> bool:
    return bool(LOADS.search(code)) and not OURS.search(code)


def test_no_other_module_of_the_product_loads_yaml() -> None:
    found = [
        place(path)
        for path in below("services", suffix=".py")
        if place(path) != LOADER and loads_by_itself(text(path))
    ]
    assert not found


@pytest.mark.parametrize(
    "code",
    ["import yaml\nyaml.safe_load(x)", "yaml.load(x, Loader=L)", "class L(yaml.SafeLoader):"],
)
def test_the_rule_sees_a_second_loader(code: str) -> None:
    assert loads_by_itself(code)


@pytest.mark.parametrize(
    "code", ["yaml.dump(x)", "from busbar.runtime.core import yaml\nyaml.load(text)"]
)
def test_the_rule_lets_writers_and_users_of_the_loader_pass(code: str) -> None:
    assert not loads_by_itself(code)
