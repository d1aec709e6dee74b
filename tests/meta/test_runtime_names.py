"""The runtime serves every service and knows none by name."""

import ast
from pathlib import Path

import pytest

from busbar.messages.topics import SERVICES
from meta.checkout import below, place, tree

CODINGS = ("strict.py", "checks.py")
"""The content coding of HTTP that changes nothing has the name of a service."""

RUNTIME = below("services/busbar/runtime", suffix=".py")


@pytest.mark.parametrize("path", RUNTIME, ids=place)
def test_the_runtime_names_no_service(path: Path) -> None:
    named = [
        f"{node.lineno}: {node.value}"
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and node.value in SERVICES
    ]
    is_coding = path.name in CODINGS and {line.split(": ")[1] for line in named} == {"identity"}
    assert named == [] or is_coding
