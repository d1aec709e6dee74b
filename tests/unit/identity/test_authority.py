"""The rights of principals."""

import pytest

from busbar.messages.authority import Principal
from busbar.messages.permissions import KEY_WRITE, RESOURCE_RELEASE, RESOURCE_WRITE

MEMBER = Principal("ci", "service-account", teams=frozenset({"payments"}), sources=("urn:a",))
ADMIN = Principal(
    "admin", "person", teams=frozenset({"*"}), sources=("*",), permissions=frozenset({"*"})
)


@pytest.mark.parametrize(
    ("principal", "permission", "team", "may"),
    [
        (MEMBER, RESOURCE_WRITE, "payments", True),
        (MEMBER, RESOURCE_WRITE, "search", False),
        (MEMBER, RESOURCE_RELEASE, "payments", False),
        (MEMBER, RESOURCE_WRITE, None, False),
        (MEMBER, KEY_WRITE, None, False),
        (ADMIN, RESOURCE_RELEASE, "payments", True),
        (ADMIN, KEY_WRITE, None, True),
    ],
)
def test_a_member_may_what_members_may_and_what_is_granted(
    principal: Principal, permission: str, team: str | None, *, may: bool
) -> None:
    assert principal.may(permission, team) is may


@pytest.mark.parametrize(
    ("principal", "source", "owns"),
    [
        (MEMBER, "urn:a", True),
        (MEMBER, "urn:a/b", False),
        (MEMBER, "urn:b", False),
        (ADMIN, "urn:b", True),
        (ADMIN, "/busbar/policy", False),
        (Principal("policy", "service"), "/busbar/policy", True),
        (Principal("policy", "service"), "/busbar/audit", False),
        (Principal("policy", "bot", sources=("/busbar/policy",)), "/busbar/policy", False),
    ],
)
def test_a_source_is_one_principals_and_those_of_the_platform_its_services(
    principal: Principal, source: str, *, owns: bool
) -> None:
    assert principal.owns(source) is owns
