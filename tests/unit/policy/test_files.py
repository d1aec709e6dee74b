from pathlib import Path

import pytest

from busbar.kernel.errors import ConfigurationError
from busbar.policy.files import load_promise, load_promises, load_rules
from busbar.runtime.core.yaml import MAX_BYTES

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


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


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
        " the schema knows no 'sise', which ${spec.sise} asks for (did you mean 'size'? "
        "known are: size)"
    )
    assert "not valid YAML" in str(promises.problem_of("three"))
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
        ("  v1:", "  one:", "line 7, at versions.one", "matches ^v[1-9]"),
        ("adapter: noop", "adaptor: noop", "versions.v1.plan.0.adaptor", "mean 'adapter'?"),
        ("adapter: noop", "adapter: 5", "versions.v1.plan.0.adapter", "write a text"),
        ("type: integer", "type: intger", "line 12, at versions.v1.spec.properties.size", "2020"),
        ("    spec:", "    ttl: 5\n    spec:", "line 8, at versions.v1.ttl", "known are: spec"),
    ],
)
def test_what_is_wrong_with_a_promise_is_said_with_file_line_place_and_fix(
    tmp_path: Path, old: str, new: str, place: str, fix: str
) -> None:
    path = write(tmp_path, "one.yaml", GOOD.replace(old, new).replace("NAME", "one"))

    with pytest.raises(ConfigurationError) as caught:
        load_promise(path)

    assert str(path) in caught.value.problem
    assert place in caught.value.problem
    assert fix in caught.value.problem


def test_a_promise_in_order_can_be_loaded_by_itself(tmp_path: Path) -> None:
    path = write(tmp_path, "one.yaml", GOOD.replace("NAME", "one"))

    assert load_promise(path) == load_promises([tmp_path]).offered["one"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    for load in (load_promises, load_rules):
        with pytest.raises(ConfigurationError, match="is not there"):
            load([tmp_path / "nowhere"])


def test_rules_of_all_files_make_one_book(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", RULE.replace("NAME", "second"))
    write(tmp_path, "b.yaml", RULE.replace("NAME", "first"))

    assert [rule.name for rule in load_rules([tmp_path]).rules] == ["first", "second"]
    assert load_rules([]).rules == ()


def test_a_broken_rule_stops_the_loading(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", RULE.replace("NAME", "one"))
    write(tmp_path, "b.yaml", RULE.replace("NAME", "two").replace('"no"', '"${nobody}"'))

    with pytest.raises(
        ConfigurationError, match=r"b\.yaml is broken: line 4, at rules\.0\.message"
    ):
        load_rules([tmp_path])


def test_two_rules_cannot_share_a_name(tmp_path: Path) -> None:
    write(tmp_path, "a.yaml", RULE.replace("NAME", "one"))
    write(tmp_path, "b.yaml", RULE.replace("NAME", "one"))

    with pytest.raises(ConfigurationError, match=r"a\.yaml and again in .*b\.yaml"):
        load_rules([tmp_path])


def test_a_file_too_large_or_not_utf8_is_broken(tmp_path: Path) -> None:
    write(tmp_path, "large.yaml", "#" * (MAX_BYTES + 1))
    (tmp_path / "latin.yaml").write_bytes("näme: x".encode("latin-1"))

    promises = load_promises([tmp_path])

    assert "larger than 256 kB" in str(promises.problem_of("large"))
    assert "not UTF-8" in str(promises.problem_of("latin"))
