"""The declaration of principals: what is wrong with it, and what changes when it is read."""

from functools import reduce
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from busbar.identity.adapters import load_principals
from busbar.identity.domain import PrincipalEntry, PrincipalsFile, declare
from busbar.kernel.errors import ConfigurationError
from busbar.messages.authority import EMPTY, Authority, evolve
from busbar.messages.identity import (
    IdentityFact,
    KeyRegistered,
    KeyRevoked,
    PrincipalDeclared,
    PrincipalRemoved,
)
from busbar.messages.signing import SigningKey

KEYS = [SigningKey.generate().public for _ in range(4)]


def entry(name: str = "payments-ci", *keys: int, **changed: object) -> PrincipalEntry:
    return PrincipalEntry.model_validate(
        {
            "name": name,
            "kind": "service-account",
            "teams": ["payments"],
            "keys": [KEYS[number].text for number in keys],
            **changed,
        }
    )


def file(*entries: PrincipalEntry) -> PrincipalsFile:
    return PrincipalsFile(busbar="principals/v1", principals=entries)


def read(known: Authority, *entries: PrincipalEntry) -> tuple[Authority, list[IdentityFact]]:
    facts = declare(known, file(*entries))
    return reduce(evolve, facts, known), facts


def test_the_first_declaration_makes_principals_and_keys_known() -> None:
    known, facts = read(EMPTY, entry("a", 0), entry("b", 1, 2))
    assert [type(fact) for fact in facts] == [PrincipalDeclared] * 2 + [KeyRegistered] * 3
    assert known.principals.keys() == {"a", "b"}
    assert {key.principal for key in known.keys_of("b")} == {"b"}
    assert known.changes == 5


def test_what_is_as_it_was_changes_nothing() -> None:
    known, _ = read(EMPTY, entry("a", 0))
    assert read(known, entry("a", 0)) == (known, [])


def test_changed_rights_are_declared_again() -> None:
    known, _ = read(EMPTY, entry("a", 0))
    _, facts = read(known, entry("a", 0, permissions=["resource:release"]))
    (declared,) = facts
    assert isinstance(declared, PrincipalDeclared)
    assert declared.permissions == ("resource:release",)


def test_a_key_that_is_gone_from_the_file_is_revoked_and_stays_so() -> None:
    known, _ = read(EMPTY, entry("a", 0, 1))
    known, facts = read(known, entry("a", 1))
    assert [(type(fact), fact.principal) for fact in facts] == [(KeyRevoked, "a")]
    assert [key.id for key in known.keys_of("a")] == [KEYS[1].id]
    known, facts = read(known, entry("a", 0, 1))
    assert facts == []


def test_a_key_that_came_by_an_intent_stays() -> None:
    known, _ = read(EMPTY, entry("a"))
    example = KeyRegistered.model_validate(KeyRegistered.EXAMPLES[0])
    registered = example.model_copy(
        update={"key": KEYS[0].id, "principal": "a", "public_key": KEYS[0].text}
    )
    known = evolve(known, registered)
    assert read(known, entry("a")) == (known, [])


def test_a_principal_that_is_removed_loses_its_keys_first() -> None:
    known, _ = read(EMPTY, entry("a", 0), entry("b", 1))
    known, facts = read(known, entry("b", 1))
    assert [type(fact) for fact in facts] == [KeyRevoked, PrincipalRemoved]
    assert known.principals.keys() == {"b"}
    assert known.keys_of("a") == []


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["a", "b", "c"]),
            st.sets(st.sampled_from(range(4)), max_size=2),
            min_size=1,
        ),
        max_size=5,
    )
)
def test_after_every_declaration_exactly_what_it_says_is_valid(
    declared: list[dict[str, set[int]]],
) -> None:
    known = EMPTY
    used: set[str] = set()
    for principals in declared:
        mine = {
            name: {KEYS[number].id for number in numbers if number % 3 == "abc".index(name)}
            for name, numbers in principals.items()
        }
        entries = [
            entry(name, *(n for n in range(4) if KEYS[n].id in ids)) for name, ids in mine.items()
        ]
        before = {key.id for key in known.keys.values() if key.revoked is not None}
        known, _ = read(known, *entries)
        assert known.principals.keys() == mine.keys()
        for name, ids in mine.items():
            assert {key.id for key in known.keys_of(name)} == ids - before
        used |= known.keys.keys()
        assert used == known.keys.keys()


GOOD = f"""\
busbar: principals/v1
principals:
  - name: payments-ci
    kind: service-account
    teams: [payments]
    sources: ["urn:team:payments"]
    keys: ["{KEYS[0].text}"]
"""


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "principals.yaml"
    path.write_text(GOOD)
    (one,) = load_principals(path).principals
    assert (one.name, one.keys) == ("payments-ci", (KEYS[0].text,))


@pytest.mark.parametrize(
    ("change", "line", "problem"),
    [
        (("kind: service-account", "kind: robot"), 4, "/principals/0/kind"),
        (("    kind: service-account\n", ""), 3, "/principals/0/kind is missing"),
        (("teams:", "team:"), 5, "did you mean 'teams'?"),
        (("urn:team:payments", "my team"), 6, "is not a URI reference"),
        (("urn:team:payments", "/busbar/policy"), 6, "belong to the platform's services"),
        ((KEYS[0].text, "AQ" + "A" * 41), 7, "small order"),
        ((KEYS[0].text, "short"), 7, "43 characters"),
        (("keys:", "permissions: [resource:releas]\n    keys:"), 7, "did you mean"),
        (("service-account", "service"), 3, "there is no service payments-ci"),
        (("principals:\n", "principals:\n  - {name: payments-ci, kind: bot}\n"), 4, "twice"),
        (
            (
                "principals:\n",
                "principals:\n  - {name: x, kind: bot, sources: [urn:team:payments]}\n",
            ),
            7,
            "it belongs to x",
        ),
    ],
)
def test_a_broken_file_is_refused_with_line_and_fix(
    tmp_path: Path, change: tuple[str, str], line: int, problem: str
) -> None:
    path = tmp_path / "principals.yaml"
    path.write_text(GOOD.replace(*change, 1))
    with pytest.raises(ConfigurationError) as refused:
        load_principals(path)
    assert problem in str(refused.value)
    assert f"line {line}:" in str(refused.value)


def test_all_problems_of_a_file_are_named_together(tmp_path: Path) -> None:
    path = tmp_path / "principals.yaml"
    path.write_text(GOOD.replace(KEYS[0].text, "short").replace("urn:team:payments", "my team"))
    with pytest.raises(ConfigurationError, match=r"line 6: .*; line 7: "):
        load_principals(path)
