"""Checks of the conditions of a rule: each can hold, and all of them together."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from busbar.kernel import json_pointer
from busbar.kernel.personal_marks import MARK
from busbar.kernel.suggest import did_you_mean, listed
from busbar.policy.domain.formatting import InputProblem, show
from busbar.policy.domain.never import can_be, can_hold, operands, wants_absence
from busbar.policy.domain.rule_scope import Target
from busbar.policy.domain.rules import Rule, RuleCondition
from busbar.policy.domain.spec_errors import allowed
from busbar.policy.domain.values import NUMBERS, Values

_PRESENCE: Final = frozenset({"present", "absent"})


def when_problems(rule: Rule, targets: Sequence[Target]) -> Iterator[InputProblem]:
    """Yield a problem for each condition that holds for none of ``targets``."""
    found = [
        InputProblem(("when", index, *problem.place), problem.problem, problem.fix)
        for index, condition in enumerate(rule.when)
        for problem in _condition_problems(condition, targets)
    ]
    yield from found
    if found or not rule.when:
        return
    if any(all_can_hold(rule.when, target) for target in targets):
        return
    pointer = _contradicted(rule.when, targets)
    yield InputProblem(
        ("when",),
        f"no value of {pointer} satisfies all the conditions on it"
        if pointer
        else "no intent that the rule is about can satisfy all of its conditions",
        "every condition of a rule has to hold; for alternatives, write several rules",
    )


def all_can_hold(when: Sequence[RuleCondition], target: Target) -> bool:
    """Return whether an intent of ``target`` may satisfy all conditions."""
    there = {one.pointer for one in when if not wants_absence(one)}
    for pointer in {one.pointer for one in when}:
        group = [one for one in when if one.pointer == pointer]
        if pointer in there:
            if any(map(wants_absence, group)):
                return False
            if not any(can_hold(values, group) for values in target.values_at(pointer)):
                return False
        elif target.always_has(pointer) or any(other.startswith(f"{pointer}/") for other in there):
            return False
    return True


def _contradicted(when: Sequence[RuleCondition], targets: Sequence[Target]) -> str | None:
    """Return a pointer whose own conditions contradict each other, or None."""
    for pointer in dict.fromkeys(one.pointer for one in when):
        group = [one for one in when if one.pointer == pointer]
        if not any(all_can_hold(group, target) for target in targets):
            return pointer
    return None


def _condition_problems(
    condition: RuleCondition, targets: Sequence[Target]
) -> Iterator[InputProblem]:
    pointer, operator = condition.pointer, condition.operators[0]
    values = [one for target in targets for one in target.values_at(pointer)]
    if not values:
        yield _unknown_pointer(pointer, targets)
        return
    if operator not in _PRESENCE and any(MARK in one for each in values for one in each.schemas):
        yield InputProblem(
            (operator,),
            f"{pointer} is personal, and rules do not see its value",
            "test whether it is present, or another field",
        )
        return
    impossible = [
        _impossible(pointer, place, operand, values)
        for place, operand in operands(condition)
        if not any(can_be(one, operand) for one in values)
    ]
    yield from impossible
    if impossible:
        return
    if operator == "not_matches" and not any("string" in one.kinds for one in values):
        yield InputProblem(
            (operator,),
            f"{pointer} is never a text, so not_matches says nothing",
            f"compare it with another operator: it is {_described(values)}",
        )
    elif not any(all_can_hold([condition], target) for target in targets):
        yield _never(condition, values)


def _impossible(
    pointer: str, place: tuple[str | int, ...], operand: Any, values: Sequence[Values]
) -> InputProblem:
    texts = [one for each in values for one in each.listed or () if isinstance(one, str)]
    fix = f"it is {_described(values)}"
    if isinstance(operand, str):
        fix = did_you_mean(operand, texts, otherwise=fix)
    return InputProblem(place, f"{pointer} can never be {show(operand)}", fix)


def _never(condition: RuleCondition, values: Sequence[Values]) -> InputProblem:
    pointer, operator = condition.pointer, condition.operators[0]
    if wants_absence(condition):
        problem = f"{pointer} is never absent"
        fix = "leave the condition out: the value is required or has a default"
        return InputProblem((operator,), problem, fix)
    kinds = frozenset(kind for one in values for kind in one.kinds)
    if operator == "matches" and "string" not in kinds:
        problem = f"{pointer} is never a text, so matches never holds"
    elif operator in {"greater_than", "less_than"} and not kinds & NUMBERS:
        problem = f"{pointer} is never a number, so {operator} never holds"
    else:
        problem = f"{operator} {show(condition.operand)} never holds for {pointer}"
    return InputProblem((operator,), problem, f"it is {_described(values)}")


def _described(values: Sequence[Values]) -> str:
    """Describe what the values can be: `a whole number from 1 to 100`."""
    each = [
        "a name of lower-case letters, digits and inner hyphens"
        if choice.are_names
        else allowed(
            {key: one for schema in reversed(choice.schemas) for key, one in schema.items()}
        )
        for choice in values
    ]
    return " or ".join(dict.fromkeys(each))


def _unknown_pointer(pointer: str, targets: Sequence[Target]) -> InputProblem:
    parts = json_pointer.split(pointer)
    known: list[str] = [name for target in targets for name in target.field_names]
    about = "an intent that the rule is about"
    for count in range(1, len(parts)):
        start = json_pointer.join(parts[:count])
        values = [one for target in targets for one in target.values_at(start)]
        if not values:
            break
        known = [name for one in values for name in one.property_names]
        about = f"{start}, which is {_described(values)}," if not known else start
    else:
        count = len(parts)
    name = parts[count - 1]
    known = list(dict.fromkeys(known))
    otherwise = f"known are: {listed(known)}" if known else "correct the pointer"
    return InputProblem(
        ("pointer",),
        f"{pointer!r} is in no intent that the rule is about: {about} has no {name!r}",
        did_you_mean(name, known, otherwise=otherwise),
    )
