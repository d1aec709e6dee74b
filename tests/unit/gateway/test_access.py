"""Access by bearer token."""

from itertools import product
from pathlib import Path

import pytest
from pydantic import SecretStr

from busbar.gateway.routes.auth import load_token
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.store import Store
from unit.gateway.conftest import TOKEN, Api, FakeAudit, app_over, event

ENDPOINTS = (
    ("POST", "/v1/events"),
    ("GET", "/v1/operations"),
    ("GET", "/v1/operations/x"),
    ("GET", "/v1/resources"),
    ("GET", "/v1/resources/a/b/c/d"),
    ("GET", "/v1/promises"),
    ("GET", "/v1/principals"),
    ("GET", "/v1/principals/x"),
    ("GET", "/v1/promises/a"),
    ("GET", "/v1/facts"),
    ("GET", "/v1/dead-letters"),
    ("GET", "/v1/dead-letters/x"),
    ("GET", "/v1/subscriptions"),
    ("GET", "/v1/subscriptions/a/b"),
    ("GET", "/v1/subscriptions/a/b/deliveries"),
    ("GET", "/v1/subscriptions/a/b/deliveries/x"),
    ("GET", "/v1/audit/records"),
    ("GET", "/v1/audit/completeness"),
    ("GET", "/v1/audit/explain"),
    ("GET", "/v1/audit/state"),
    ("GET", "/v1/openapi.json"),
)


CREDENTIALS = (
    None,
    "Bearer wrong",
    "Bearer ",
    "Bearer",
    f"Basic {TOKEN}",
    TOKEN,
    f"Bearer {TOKEN}x",
    f"Bearer {TOKEN[:-1]}",
    "Bearer \u00fc\u20ac",
)


def test_the_list_of_endpoints_is_whole(store: Store, audit: FakeAudit) -> None:
    paths = app_over(store, audit).openapi()["paths"]
    described = [(method.upper(), path) for path, item in paths.items() for method in item]
    assert len(described) == len(ENDPOINTS)


async def test_a_request_without_the_token_is_refused(api: Api) -> None:
    for (method, path), given in product(ENDPOINTS, CREDENTIALS):
        headers = {} if given is None else {"authorization": given}
        reply = await api.request(method, path, headers=headers, token=None)
        assert (reply.status, reply.problem()["code"]) == (401, "unauthenticated"), given
        assert reply.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in reply.body.decode()


async def test_a_request_without_the_token_is_not_read(api: Api, store: Store) -> None:
    await api.request("POST", "/v1/events", body=[b"x", b"y"], token=None)
    assert api.chunks_read == 0
    assert await store.last_position() == 0


@pytest.mark.parametrize("given", [f"bearer {TOKEN}", f"BEARER  {TOKEN} "])
async def test_the_scheme_may_be_written_in_any_case(api: Api, given: str) -> None:
    reply = await api.get("/v1/operations", headers={"authorization": given}, token=None)
    assert reply.status == 200


async def test_the_token_counts_without_the_space_around_it(store: Store, audit: FakeAudit) -> None:
    api = Api(app_over(store, audit, token=f" {TOKEN}\n"))
    assert (await api.get("/v1/operations")).status == 200


def test_a_token_is_made_once_and_kept_private(tmp_path: Path) -> None:
    first = load_token(tmp_path / "home", None)
    assert load_token(tmp_path / "home", None) == first
    assert len(first.get_secret_value()) >= 43
    file = tmp_path / "home" / "token"
    assert file.stat().st_mode & 0o777 == 0o600
    file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_token(tmp_path / "home", None)


@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_an_empty_token_is_refused_at_the_start(tmp_path: Path, empty: str) -> None:
    with pytest.raises(ConfigurationError, match="token is empty"):
        load_token(tmp_path, SecretStr(empty))


async def test_the_principal_is_written_into_the_intent(api: Api, store: Store) -> None:
    assert (await api.post(event(authid="root", authtype="none"))).status == 202
    (stored,) = await store.events()
    assert '"authid":"admin"' in stored.metadata
    assert "root" not in stored.metadata
