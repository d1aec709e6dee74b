"""Checks of what rules and lifts name: each name has to be one of something that exists."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from busbar.kernel.json_schema import Place
from busbar.kernel.suggest import did_you_mean, listed
from busbar.policy.domain.formatting import InputProblem
from busbar.policy.domain.rule_scope import Known, environments_of, is_glob
from busbar.policy.domain.rules import Lift, Rule, fits

_MAX_NAME: Final = 63
_PART_OF_A_NAME: Final = re.compile(r"[a-z0-9-]*")


def match_problems(rule: Rule, known: Known) -> Iterator[InputProblem]:
    """Yield what is in the match of ``rule``, and in what lifts it, that fits nothing."""
    match = rule.match
    declared = known.environments.names
    if match.promise != ("*",):
        yield from _unmatched(("match", "promise"), "promise", match.promise, known.promise_names)
    environments = list(
        _unmatched(("match", "environment"), "environment", match.environment, declared)
    )
    environments += _label_problems(rule, known)
    yield from environments
    yield from _team_problems(match.team)
    if environments:
        return
    about = environments_of(match, known.environments)
    if not about:
        yield InputProblem(
            ("match",),
            "no environment fits both environment and labels",
            f"the environments are: {listed(declared)}",
        )
        return
    yield from _unmatched(("lifted_in",), "environment of the match", rule.lifted_in, about)
    if all(fits(name, rule.lifted_in) for name in about):
        yield InputProblem(
            ("lifted_in",),
            f"rule {rule.name} is lifted in every environment that it is about",
            "leave out lifted_in, or the rule",
        )


def lift_problems(lift: Lift, rules: Mapping[str, Rule], known: Known) -> Iterator[InputProblem]:
    """Yield what ``lift`` names and does not exist: the rule, or environments that it holds in."""
    rule = rules.get(lift.rule)
    if rule is None:
        fix = did_you_mean(lift.rule, rules, otherwise=f"the rules are: {listed(sorted(rules))}")
        yield InputProblem(("rule",), f"there is no rule {lift.rule}", fix)
        return
    about = [
        name
        for name in environments_of(rule.match, known.environments)
        if not fits(name, rule.lifted_in)
    ]
    kind = f"environment that {rule.name} holds in"
    yield from _unmatched(("environment",), kind, lift.environment, about)


def _unmatched(
    place: Place, kind: str, globs: tuple[str, ...], names: list[str] | tuple[str, ...]
) -> Iterator[InputProblem]:
    """Yield a problem for each of ``globs`` that fits none of ``names``."""
    for index, glob in enumerate(globs):
        if fits_any(glob, names):
            continue
        otherwise = f"there are: {listed(names)}" if names else "there are none"
        says = f"{glob!r} fits no {kind}" if is_glob(glob) else f"there is no {kind} {glob!r}"
        yield InputProblem((*place, index), says, did_you_mean(glob, names, otherwise=otherwise))


def fits_any(glob: str, names: list[str] | tuple[str, ...]) -> bool:
    """Return whether ``glob`` fits one of ``names``."""
    return any(fits(name, (glob,)) for name in names)


def _label_problems(rule: Rule, known: Known) -> Iterator[InputProblem]:
    values: dict[str, set[str]] = {}
    for one in known.environments.declared.values():
        for label, value in one.labels.items():
            values.setdefault(label, set()).add(value)
    for label, wanted in rule.match.labels.items():
        place: Place = ("match", "labels", label)
        if label not in values:
            fix = did_you_mean(label, values, otherwise=f"labels are: {listed(sorted(values))}")
            yield InputProblem(place, f"no environment has the label {label}", fix)
            continue
        there = sorted(values[label])
        for index, value in enumerate(wanted):
            if value not in there:
                fix = did_you_mean(value, there, otherwise=f"its values are: {listed(there)}")
                problem = f"no environment has {value!r} as its label {label}"
                yield InputProblem((*place, index), problem, fix)


def _team_problems(globs: tuple[str, ...]) -> Iterator[InputProblem]:
    for index, glob in enumerate(globs):
        if not _could_be_a_name(glob):
            yield InputProblem(
                ("match", "team", index),
                f"no team can be named {glob!r}",
                "names have lower-case letters, digits and inner hyphens, at most 63 characters",
            )


def _could_be_a_name(glob: str) -> bool:
    """Return whether the characters of ``glob`` that stand for themselves can be in a name."""
    literal = glob if "[" not in glob else ""
    written = literal.replace("*", "").replace("?", "")
    if literal[:1] == "-" or literal[-1:] == "-" or glob == "":
        return False
    fixed = len(literal.replace("*", ""))
    return fixed <= _MAX_NAME and _PART_OF_A_NAME.fullmatch(written) is not None
