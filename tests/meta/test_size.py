"""Files and functions stay small enough to read in one go."""

import ast

from meta.checkout import below, place, text, tree

MOST_LINES_OF_A_FILE = 400
MOST_LINES_OF_A_FUNCTION = 60
"""The limit that is enforced; CONTRIBUTING.md asks for 40. Split by decision, no exceptions."""


def test_no_file_of_the_product_is_longer_than_400_lines() -> None:
    long = {
        place(path): lines
        for path in below("services", "tools", suffix=".py")
        if (lines := len(text(path).splitlines())) > MOST_LINES_OF_A_FILE
    }
    assert not long, "split these files by decision"


def test_no_function_of_the_product_is_longer_than_60_lines() -> None:
    long = {
        f"{place(path, node.lineno)} {node.name}": lines
        for path in below("services", "tools", suffix=".py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MOST_LINES_OF_A_FUNCTION
    }
    assert not long, "split these functions by decision"
