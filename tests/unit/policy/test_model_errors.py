"""Errors of pydantic models become one sentence for each mistake."""

from typing import Any

import pytest
from pydantic import ValidationError

from busbar.policy.domain.model_errors import problems_of
from busbar.policy.domain.rules import RuleFile

RULE: dict[str, Any] = {
    "name": "limit",
    "match": {"action": ["apply"]},
    "when": [{"pointer": "/spec/x", "greater_than": 3}],
    "effect": "deny",
    "message": "m",
    "fix": "f",
}


def problems(**changes: Any) -> list[str]:
    """The errors of a file with one rule, changed so."""
    with pytest.raises(ValidationError) as caught:
        RuleFile.model_validate({"busbar": "policy/v1", "rules": [{**RULE, **changes}]})
    return [problem.problem for problem in problems_of(caught.value, RuleFile)]


def test_a_list_whose_only_item_is_wrong_is_not_reported_as_short_as_well() -> None:
    assert problems(match=None) == ["match must be an object; it is null"]
    (wrong,) = problems(match={"action": ["create"]})
    assert wrong.startswith("action.0 must be 'apply', 'delete' or '*'")


def test_a_list_that_is_short_is_reported() -> None:
    assert problems(match={"action": []}) == ["action must have at least 1 item"]


def test_one_error_asks_for_a_number_where_whole_and_other_numbers_fit() -> None:
    wrong = problems(when=[{"pointer": "/spec/x", "greater_than": "3"}])
    assert wrong == ['greater_than must be a number; it is "3"']
