"""Principals and keys as the API shows them, folded from the facts of identity."""

from busbar.messages.identity import (
    KeyRegistered,
    KeyRevoked,
    PrincipalDeclared,
    PrincipalRemoved,
)
from unit.gateway.conftest import Api, Platform, fact_of

NAME = "payments-ci"


async def test_principals_are_listed_by_name_with_their_rights(
    api: Api, platform: Platform
) -> None:
    await platform.publish(*(fact_of(PrincipalDeclared, principal=name) for name in ("b", "a")))
    reply = await api.get("/v1/principals")
    assert [one["principal"] for one in reply.json["items"]] == ["a", "b"]
    shown = (await api.get("/v1/principals/a")).json
    assert (shown["kind"], shown["teams"]) == ("service-account", ["payments"])
    assert (await api.get("/v1/principals/c")).problem()["status"] == 404


async def test_a_key_is_shown_with_its_revocation(api: Api, platform: Platform) -> None:
    await platform.publish(fact_of(PrincipalDeclared), fact_of(KeyRegistered))
    (key,) = (await api.get(f"/v1/principals/{NAME}")).json["keys"]
    assert (key["revoked"], key["reason"]) == (None, None)
    await platform.publish(fact_of(KeyRevoked))
    (key,) = (await api.get(f"/v1/principals/{NAME}")).json["keys"]
    assert key["revoked"]
    assert key["reason"] == "the laptop was lost"


async def test_other_rights_keep_the_keys(api: Api, platform: Platform) -> None:
    await platform.publish(fact_of(PrincipalDeclared), fact_of(KeyRegistered))
    await platform.publish(fact_of(PrincipalDeclared, teams=("search",)))
    shown = (await api.get(f"/v1/principals/{NAME}")).json
    assert (shown["teams"], len(shown["keys"])) == (["search"], 1)


async def test_a_principal_that_was_removed_is_shown_as_such(api: Api, platform: Platform) -> None:
    await platform.publish(fact_of(PrincipalDeclared), fact_of(PrincipalRemoved))
    assert (await api.get(f"/v1/principals/{NAME}")).json["declared"] is False
