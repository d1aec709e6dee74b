"""The surroundings of an adapter under test keep its secrets."""

import pytest
from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError
from busbar.testing import MemorySecrets, make_environment


async def test_a_stored_secret_is_found_until_it_is_removed() -> None:
    secrets = MemorySecrets({"secret:given": SecretStr("a")})
    environment = make_environment(secrets)
    await environment.store_secret("secret:made", SecretStr("b"), "payments")
    assert await environment.secret("secret:given") == SecretStr("a")
    assert await environment.secret("secret:made", "payments") == SecretStr("b")
    assert secrets.teams == {"secret:made": "payments"}
    await environment.remove_secret("secret:made")
    await environment.remove_secret("secret:made")
    assert await environment.secret("secret:made", "payments") is None


async def test_a_secret_is_given_to_its_owner_only() -> None:
    environment = make_environment(MemorySecrets())
    await environment.store_secret("secret:made", SecretStr("b"), "payments")
    for team in (None, "checkout"):
        with pytest.raises(ConfigurationError, match="belongs to the team payments"):
            await environment.secret("secret:made", team)


async def test_without_a_secret_store_nothing_is_found_and_storing_fails() -> None:
    environment = make_environment()
    assert await environment.secret("secret:x") is None
    with pytest.raises(ConfigurationError, match="secret:x"):
        await environment.store_secret("secret:x", SecretStr("hush"), None)
