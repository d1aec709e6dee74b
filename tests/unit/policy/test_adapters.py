import os
from pathlib import Path

import pytest

from busbar.kernel.errors import ConfigurationError
from busbar.policy.adapters import (
    check_rules,
    load_environments,
    load_known,
    load_promises,
    load_rules,
    shipped,
)
from busbar.policy.domain import Promises, RuleBook
from busbar.policy.domain.promise import PromiseFile, promise_of
from busbar.policy.domain.rule_scope import Known
from busbar.runtime.core import documents
from busbar.runtime.core.document import MAX_BYTES
from busbar.runtime.core.settings import Settings

GOOD = """
busbar: promise/v1
name: NAME
title: A thing
owner: platform
versions:
  v1:
    spec:
      type: object
      additionalProperties: false
      properties:
        size: {type: integer, default: 1}
    plan:
      - {name: thing, adapter: noop, inputs: {size: "${spec.size}"}}
"""
RULE = """
busbar: policy/v1
rules:
  - {name: NAME, effect: deny, message: "no", fix: "do not"}
"""


def thing() -> Known:
    """Known is one promise, and the environments that busbar ships with."""
    file = documents.load(GOOD.replace("NAME", "thing")).data
    return Known(
        Promises(offered={"thing": promise_of(PromiseFile.model_validate(file))}),
        shipped().environments,
    )


KNOWN = thing()


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def some_rules(paths: list[Path]) -> RuleBook:
    return load_rules(paths, KNOWN, with_shipped=False)


def test_every_promise_in_the_folders_is_offered(tmp_path: Path) -> None:
    write(tmp_path / "a", "one.yaml", GOOD.replace("NAME", "one"))
    write(tmp_path / "b", "deeper/two.yml", GOOD.replace("NAME", "two"))
    write(tmp_path / "b", ".git/three.yaml", GOOD.replace("NAME", "three"))
    write(tmp_path / "b", "README.md", "not a promise")

    promises = load_promises([tmp_path / "a", tmp_path / "b", tmp_path / "b/../a"])

    assert sorted(promises.offered) == ["one", "two"]
    assert promises.broken == {}
    assert promises.offered["one"].newest.with_defaults({}) == {"size": 1}


def test_a_broken_promise_does_not_take_the_others_down(tmp_path: Path) -> None:
    write(tmp_path, "one.yaml", GOOD.replace("NAME", "one"))
    write(tmp_path, "x.yaml", GOOD.replace("NAME", "two").replace("spec.size", "spec.sise"))
    write(tmp_path, "three.yaml", "busbar: [")

    promises = load_promises([tmp_path])

    assert list(promises.offered) == ["one"]
    assert promises.broken["two"] == (
        f"the promise file {tmp_path}/x.yaml is broken: line 14, at versions.v1.plan.0.inputs.size:"
        " the schema has no 'sise', which ${spec.sise} refers to (did you mean 'size'? "
        "known are: size)"
    )
    assert "a value is missing" in str(promises.problem_of("three"))
    assert promises.problem_of("one") is None
    assert promises.problem_of("four") is None


def test_a_name_that_two_files_claim_is_offered_by_neither(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", GOOD.replace("NAME", "one"))
    write(tmp_path, "b.yaml", GOOD.replace("NAME", "one"))
    write(tmp_path, "c.yaml", GOOD.replace("NAME", "two"))

    promises = load_promises([tmp_path])

    assert list(promises.offered) == ["two"]
    assert f"{tmp_path}/a.yaml and {tmp_path}/b.yaml" in promises.broken["one"]


@pytest.mark.parametrize(
    ("old", "new", "place", "fix"),
    [
        ("owner: platform", "ownr: platform", "line 2, at owner", "add it"),
        ("owner: platform", "ownr: platform", "line 5, at ownr", "did you mean 'owner'?"),
        ("promise/v1", "promise/v2", "line 2, at busbar", "'promise/v1'"),
        ("NAME", "Not A Slug", "line 3, at name", "lower-case letters"),
        ("  v1:", "  1:", "line 7", "quote it"),
        ("  v1:", "  one:", "line 7, at versions.one", "must be a version"),
        ("adapter: noop", "adaptor: noop", "versions.v1.plan.0.adaptor", "mean 'adapter'?"),
        ("adapter: noop", "adapter: 5", "versions.v1.plan.0.adapter", "write a string"),
        ("type: integer", "type: intger", "line 12, at versions.v1.spec.properties.size", "2020"),
        ("    spec:", "    ttl: 5\n    spec:", "line 8, at versions.v1.ttl", "known are: spec"),
    ],
)
def test_an_error_in_a_promise_has_its_file_line_place_and_fix(
    tmp_path: Path, old: str, new: str, place: str, fix: str
) -> None:
    path = write(tmp_path, "one.yaml", GOOD.replace(old, new).replace("NAME", "one"))

    (problem,) = load_promises([tmp_path]).broken.values()

    assert str(path) in problem
    assert place in problem
    assert fix in problem


def test_a_promise_can_be_loaded_by_its_file(tmp_path: Path) -> None:
    path = write(tmp_path, "one.yaml", GOOD.replace("NAME", "one"))

    assert load_promises([path]) == load_promises([tmp_path])


def test_a_path_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    for load, variable in ((load_promises, "BUSBAR_PROMISES"), (some_rules, "BUSBAR_POLICIES")):
        with pytest.raises(ConfigurationError, match="does not exist") as caught:
            load([tmp_path / "nowhere"])
        assert caught.value.fix == f"Create it, or correct {variable}."


def test_rules_behind_links_are_loaded_once(tmp_path: Path) -> None:
    write(tmp_path, "elsewhere/deeper/a.yaml", RULE.replace("NAME", "one"))
    write(tmp_path, "elsewhere/b.txt", RULE.replace("NAME", "two"))
    rules = tmp_path / "rules"
    rules.mkdir()
    (rules / "linked").symlink_to(tmp_path / "elsewhere")
    (rules / "again").symlink_to(tmp_path / "elsewhere")
    (rules / "cycle").symlink_to(rules)
    (tmp_path / "elsewhere" / "back").symlink_to(rules)
    (rules / "b.yml").symlink_to(tmp_path / "elsewhere" / "b.txt")

    assert [rule.name for rule in some_rules([rules]).rules] == ["one", "two"]


@pytest.mark.parametrize("name", ["a.YAML", "a.Yml", "B/a.yMl"])
def test_a_suffix_in_upper_case_is_a_suffix(tmp_path: Path, name: str) -> None:
    write(tmp_path, name, RULE.replace("NAME", "one"))

    assert [rule.name for rule in some_rules([tmp_path]).rules] == ["one"]


@pytest.mark.parametrize("name", ["a.yaml", "folder"])
@pytest.mark.parametrize("target", ["nowhere", "self"])
def test_a_link_without_a_target_is_a_broken_file(tmp_path: Path, name: str, target: str) -> None:
    link = tmp_path / name
    link.symlink_to(link if target == "self" else tmp_path / "nowhere")

    with pytest.raises(ConfigurationError, match="link whose target does not exist") as caught:
        some_rules([tmp_path])

    assert str(link) in caught.value.problem
    assert "target does not exist" in load_promises([tmp_path]).broken[str(link)]


def test_a_pipe_with_the_name_of_a_rule_file_is_a_broken_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")

    for path in (tmp_path, tmp_path / "a.yaml"):
        with pytest.raises(
            ConfigurationError, match=r"a\.yaml is broken: it is not a regular file"
        ):
            some_rules([path])


@pytest.mark.parametrize("call", ["iterdir", "stat"])
def test_a_folder_that_cannot_be_searched_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    closed = write(tmp_path, "closed/a.yaml", RULE).parent
    real = getattr(Path, call)

    def refuse(path: Path, **options: bool) -> object:
        if (call, path) in {("iterdir", closed), ("stat", closed / "a.yaml")}:
            raise PermissionError(13, "Permission denied")
        return real(path, **options)

    # A superuser can search every folder, so its permissions would not do.
    monkeypatch.setattr(Path, call, refuse)

    for load in (load_promises, some_rules):
        with pytest.raises(ConfigurationError, match=r"closed.* cannot be searched .*denied"):
            load([tmp_path])


def test_rules_of_all_files_make_one_book(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", RULE.replace("NAME", "second"))
    write(tmp_path, "b.yaml", RULE.replace("NAME", "first"))

    assert [rule.name for rule in some_rules([tmp_path]).rules] == ["first", "second"]
    assert some_rules([]).rules == ()


def test_a_broken_rule_stops_the_loading(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", RULE.replace("NAME", "one"))
    write(tmp_path, "b.yaml", RULE.replace("NAME", "two").replace('"no"', '"${unknown}"'))

    with pytest.raises(
        ConfigurationError, match=r"b\.yaml is broken: line 4, at rules\.0\.message"
    ):
        some_rules([tmp_path])


def test_two_rules_cannot_share_a_name(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", RULE.replace("NAME", "one"))
    write(tmp_path, "b.yaml", RULE.replace("NAME", "one"))

    with pytest.raises(
        ConfigurationError, match=r"b\.yaml is broken: line 4, .*: the rule one is also in .*a"
    ):
        some_rules([tmp_path])

    twice = RULE + RULE.split("rules:\n")[1]
    file = write(tmp_path / "other", "twice.yaml", twice.replace("NAME", "two"))
    with pytest.raises(
        ConfigurationError, match=r"twice\.yaml is broken: line 5, .*the rule two is also in"
    ):
        some_rules([file])


EXAMPLES = """
busbar: policy/v1
rules:
  - name: limit
    lifted_in: [prod]
    when:
      - {pointer: /spec/size, greater_than: 3}
    effect: EFFECT
    message: ${value} is too much in ${environment}
    fix: ask for 3
    examples:
      - title: Four
        given: {team: a, environment: dev, promise: thing, name: x, spec: {size: 4}}
        expect: denied
        message: 4 is too much in dev
      - title: Three
        given: {team: a, environment: dev, promise: thing, name: x, spec: {size: 3}}
        expect: allowed
      - title: Four in production
        given: {team: a, environment: prod, promise: thing, name: x, spec: {size: 4}}
        expect: allowed
      - title: A delete
        action: delete
        given: {team: a, environment: dev, promise: thing, name: x}
        expect: allowed
"""
DENY = EXAMPLES.replace("EFFECT", "deny")


def test_the_examples_of_a_rule_that_come_out_as_expected_change_nothing(tmp_path: Path) -> None:
    with_examples = some_rules([write(tmp_path / "a", "rules.yaml", DENY)])
    without = some_rules([write(tmp_path / "b", "rules.yaml", DENY.split("    examples:")[0])])

    assert len(with_examples.rules[0].examples) == 4
    assert with_examples.digest == without.digest


@pytest.mark.parametrize(
    ("old", "new", "line", "place", "problem"),
    [
        (
            "expect: denied",
            "expect: allowed",
            14,
            "examples.0.expect",
            "rule limit, example 'Four': allowed is expected, but the outcome is denied",
        ),
        (
            "EFFECT",
            "warn",
            14,
            "examples.0.expect",
            "denied is expected, but the outcome is warned with the message",
        ),
        (
            "greater_than: 3",
            "greater_than: 4",
            14,
            "examples.0.expect",
            "the outcome is allowed: /spec/size is 4, so greater_than 4 does not hold",
        ),
        (
            "lifted_in: [prod]",
            "lifted_in: [prod, dev]",
            14,
            "examples.0.expect",
            "the outcome is allowed: the rule is lifted in dev",
        ),
        (
            "lifted_in: [prod]",
            "match: {environment: [dev]}",
            20,
            "examples.2.given.environment",
            "example 'Four in production': the match of the rule does not fit environment prod",
        ),
        (
            "lifted_in: [prod]",
            "lifted_in: [prod]\n    match: {action: [apply]}",
            24,
            "examples.3.action",
            "example 'A delete': the match of the rule does not fit action delete",
        ),
        (
            "environment: dev, promise: thing, name: x, spec: {size: 3}",
            "environment: dve, promise: thing, name: x, spec: {size: 3}",
            17,
            "examples.1.given.environment",
            "there is no environment dve (did you mean 'dev'?",
        ),
        (
            "environment: dev, promise: thing, name: x, spec: {size: 3}",
            "environment: dev, promise: thin, name: x, spec: {size: 3}",
            17,
            "examples.1.given.promise",
            "there is no promise thin (did you mean 'thing'?",
        ),
        (
            "name: x, spec: {size: 3}",
            "name: x, version: v2, spec: {size: 3}",
            17,
            "examples.1.given.version",
            "thing has no version v2",
        ),
        (
            "spec: {size: 3}",
            "spec: {sise: 3}",
            17,
            "examples.1.given.spec.sise",
            "thing refuses the example's spec: sise is not a known property",
        ),
        (
            "pointer: /spec/size, greater_than: 3",
            "pointer: /spec/sise, present: true",
            7,
            "when.0.pointer",
            "'/spec/sise' is in no intent that the rule is about: /spec has no 'sise'",
        ),
        (
            "message: 4 is",
            "message: 5 is",
            15,
            "examples.0.message",
            "the message is '4 is too much in dev', '5 is too much in dev' is expected",
        ),
        (
            "expect: allowed\n      - title: Four in",
            "expect: allowed\n        message: m\n      - title: Four in",
            19,
            "examples.1.message",
            "an intent that is allowed gets no message",
        ),
        (
            "title: Three\n        given: {team: a,",
            "title: Three\n        given: {team: A,",
            17,
            "examples.1.given.team",
            'team cannot be "A"',
        ),
        (
            "action: delete",
            "action: apply",
            24,
            "examples.3.given.spec",
            "spec is missing",
        ),
    ],
)
def test_an_example_that_comes_out_otherwise_stops_the_loading(  # noqa: PLR0917 - a table's columns
    tmp_path: Path, old: str, new: str, line: int, place: str, problem: str
) -> None:
    assert old in EXAMPLES
    text = EXAMPLES.replace(old, new).replace("EFFECT", "deny")
    file = write(tmp_path, "rules.yaml", text)

    with pytest.raises(ConfigurationError) as caught:
        some_rules([tmp_path])

    start = f"The rule file {file} is broken: line {line}, at rules.0.{place}: "
    assert caught.value.problem.startswith(start)
    assert problem in caught.value.problem


def test_a_rule_that_cannot_work_is_not_tried_on_its_examples(tmp_path: Path) -> None:
    file = write(tmp_path, "rules.yaml", DENY.replace("greater_than: 3", "matches: '('"))

    (checked,) = check_rules([file], KNOWN, with_shipped=False)

    assert [problem.place for problem in checked.problems] == ["rules.0.when.0.matches"]


def test_every_rule_file_is_checked_even_if_an_earlier_one_is_broken(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", "busbar: [")
    write(tmp_path, "b.yaml", DENY)
    write(tmp_path, "c.yaml", DENY.replace("expect: denied", "expect: warned"))

    first, second, third = check_rules([tmp_path], KNOWN, with_shipped=False)

    assert (first.content, str(first.problems[0])[:18]) == (None, "line 1, column 10:")
    assert second.content is not None
    assert third.content is None


def test_a_file_too_large_or_not_utf8_is_broken(tmp_path: Path) -> None:
    write(tmp_path, "large.yaml", "#" * (MAX_BYTES + 1))
    (tmp_path / "latin.yaml").write_bytes("näme: x".encode("latin-1"))

    promises = load_promises([tmp_path])

    assert "larger than 256 kB" in str(promises.problem_of("large"))
    assert "not UTF-8" in str(promises.problem_of("latin"))


PARTITIONS = """
busbar: policy/v1
rules:
  - name: partitions
    match: {promise: [event-stream], action: [apply]}
    when:
      - {pointer: /spec/partitions, greater_than: 50}
    effect: deny
    message: too many
    fix: ask for fewer
"""


def test_the_rules_of_busbar_hold_beside_those_of_an_installation(tmp_path: Path) -> None:
    rules = load_rules([write(tmp_path, "a.yaml", PARTITIONS)], shipped())

    assert [rule.name for rule in rules.rules] == [
        "partition-limit",
        "partitions",
        "reserved-names",
        "retention-limit",
        "single-replica",
    ]


def test_a_rule_of_busbar_is_lifted_only_by_a_file_that_says_so(tmp_path: Path) -> None:
    lifts = """lifts:
  - rule: partition-limit
    environment: [stage]
    reason: The cluster of stage is as large as that of prod.
"""
    lifted = load_rules([write(tmp_path, "a.yaml", PARTITIONS + lifts)], shipped())
    alone = load_rules([write(tmp_path, "alone.yaml", f"busbar: policy/v1\n{lifts}")], shipped())

    for book in (lifted, alone):
        (rule,) = (rule for rule in book.rules if rule.name == "partition-limit")
        assert rule.lifted_in == ("prod", "stage")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("partition-limit", "partition-limits", "did you mean 'partition-limit'?"),
        ("[stage]", "[staging]", "did you mean 'stage'?"),
        ("[stage]", "[prod]", "no environment that partition-limit holds in 'prod'"),
        ("[stage]", '["x*"]', "'x*' fits no environment"),
        ("reason", "why", "reason is missing"),
        ("[stage]", "[]", "at least 1 item"),
    ],
)
def test_a_lift_that_lifts_nothing_is_refused(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    lift = "busbar: policy/v1\nlifts:\n  - rule: partition-limit\n"
    lift += "    environment: [stage]\n    reason: It is large.\n"
    path = write(tmp_path, "a.yaml", lift.replace(old, new))

    with pytest.raises(ConfigurationError, match=r"a\.yaml is broken: line [345]") as caught:
        load_rules([path], shipped())
    assert problem in caught.value.problem


def test_a_file_without_rules_and_lifts_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yaml", "busbar: policy/v1\nrules: []\n")

    with pytest.raises(ConfigurationError, match="no rules and no lifts"):
        some_rules([path])


def test_the_rules_of_busbar_can_be_loaded_beside_other_promises_and_environments() -> None:
    rules = load_rules([], KNOWN)

    assert {"partition-limit", "reserved-names"} <= {rule.name for rule in rules.rules}
    assert rules.environments == KNOWN.environments


def test_a_rule_of_busbar_that_another_schema_makes_useless_has_to_be_lifted(
    tmp_path: Path,
) -> None:
    write(tmp_path, "p/event-stream.yaml", GOOD.replace("NAME", "event-stream"))
    known = Known(load_promises([tmp_path / "p"]), shipped().environments)

    with pytest.raises(ConfigurationError, match=r"/spec/retention_hours.*lift the rule"):
        load_rules([], known)

    lifts = "".join(
        f"  - {{rule: {name}, environment: ['*'], reason: It has other fields.}}\n"
        for name in ("retention-limit", "partition-limit", "single-replica")
    )
    path = write(tmp_path, "lifts.yaml", f"busbar: policy/v1\nlifts:\n{lifts}")
    assert load_rules([path], known)


ENVIRONMENTS = """
busbar: environments/v1
environments:
  - {name: live, title: Production, order: 2, labels: {tier: production}}
  - {name: play, title: Playground, order: 1}
"""


def test_environments_are_in_their_order_whatever_their_order_in_the_file(tmp_path: Path) -> None:
    declared = load_environments(write(tmp_path, "e.yaml", ENVIRONMENTS))

    assert declared.names == ("play", "live")
    assert (declared.labels_of("live"), declared.labels_of("play"), declared.labels_of("x")) == (
        {"tier": "production"},
        {},
        None,
    )


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("name: play", "name: live", "line 5, .*declared twice"),
        ("name: play", "name: Play", "line 5, .*lower-case letters"),
        ("title: Playground, ", "", r"line 5, at environments\.1\.title: title is missing"),
        ("order: 1", "order: first", "line 5, .*whole number"),
        ("order: 1", "order: 1, lables: {}", "line 5, .*did you mean 'labels'"),
        ("tier: production", "tier: 1", "line 4, .*string"),
        ("environments/v1", "environment/v1", "line 2, .*environments/v1"),
        ("environments:", "environments: []\nothers:", "at least 1 item"),
    ],
)
def test_a_declaration_that_is_wrong_is_refused(
    tmp_path: Path, old: str, new: str, problem: str
) -> None:
    path = write(tmp_path, "e.yaml", ENVIRONMENTS.replace(old, new))

    with pytest.raises(ConfigurationError, match=rf"environment file .*e\.yaml.*{problem}"):
        load_environments(path)


def test_a_declaration_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"e\.yaml does not exist") as caught:
        load_environments(tmp_path / "e.yaml")
    assert "BUSBAR_ENVIRONMENTS" in caught.value.fix


def test_an_installation_can_declare_its_own_environments(tmp_path: Path) -> None:
    settings = Settings(environments=write(tmp_path, "e.yaml", ENVIRONMENTS))

    assert load_known(
        settings.promise_folders(), settings.environments_file()
    ).environments.names == ("play", "live")
    known = load_known(Settings().promise_folders(), Settings().environments_file())
    assert known.environments.names == ("dev", "test", "stage", "prod")
