"""Findings of `make clients-check`; the generators themselves run in CI."""

import sys
from pathlib import Path

import pytest

from tools.clients.check import FailedError, operation_ids, require, run
from tools.clients.generators import GENERATORS


def test_every_operation_is_looked_for() -> None:
    item = {"get": {"operationId": "get_a"}, "post": {"operationId": "post_a"}, "parameters": []}
    assert operation_ids({"paths": {"/a": item}}) == ["get_a", "post_a"]


def test_a_client_without_an_operation_fails() -> None:
    require(["list_facts", "get_a"], ["ListFacts", "getA", "other"])
    with pytest.raises(FailedError, match="no operation for get_b"):
        require(["get_a", "get_b"], ["GetA"])


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("print('WARNING parsing')", "warned"),
        ("import sys; print('skipping x', file=sys.stderr)", "warned"),
        ("raise SystemExit(3)", "status 3"),
    ],
)
def test_a_generator_that_warns_or_fails_is_not_passed(
    code: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(FailedError, match=says):
        run([sys.executable, "-c", code], cwd=tmp_path)


def test_a_generator_that_is_not_installed_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(FailedError, match="not installed"):
        run(["a-program-that-does-not-exist"], cwd=tmp_path)
    assert run([sys.executable, "-c", "print(1)"], cwd=tmp_path) == "1\n"


def test_clients_are_generated_in_three_languages() -> None:
    assert set(GENERATORS) == {"Python", "TypeScript", "Go"}
