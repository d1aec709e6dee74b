"""The secret table: values, owners and confidentiality."""

import asyncio

import pytest
from pydantic import SecretStr

from busbar.kernel.clock import format_time
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.cipher import Cipher
from busbar.runtime.secrets import SecretStore
from support.runtime import (
    BEGIN,
    KEY,
)
from support.secrets import OTHER_KEY, SecretPlace

VALUE = SecretStr("hush-hush ü\nsecond line")


async def value_of(store: SecretStore, reference: str) -> str | None:
    found = await store.get(reference)
    return None if found is None else found.get_secret_value()


async def test_a_secret_comes_back_and_shows_itself_nowhere(place: SecretPlace) -> None:
    async with place.store() as store:
        await store.put("secret:a-1", VALUE, team="payments")
        found = await store.find("secret:a-1")
        assert found is not None
        assert found.value == VALUE
        assert found.team == "payments"
        assert found.stored_time == format_time(BEGIN)
        assert "hush" not in f"{found} {found!r} {store!r} {await store.entries()}"
        assert await store.get("secret:never-stored") is None
    assert b"hush" not in repr(await place.rows()).encode()


async def test_what_was_stored_is_there_for_the_next_connection(
    place: SecretPlace,
) -> None:
    async with place.store() as store, place.store() as another:
        await store.put("secret:a", VALUE)
        assert await value_of(another, "secret:a") == VALUE.get_secret_value()
    async with place.store() as later:
        assert await value_of(later, "secret:a") == VALUE.get_secret_value()


async def test_a_secret_is_replaced_and_removed(place: SecretPlace) -> None:
    async with place.store() as store:
        for text in ("long old value", "new"):
            await store.put("secret:a", SecretStr(text))
        assert await value_of(store, "secret:a") == "new"
        assert await store.remove("secret:a")
        assert not await store.remove("secret:a")
        assert await store.get("secret:a") is None


async def test_secrets_are_listed_by_name_with_their_owners(place: SecretPlace) -> None:
    async with place.store() as store:
        for name, team in (("b", "payments"), ("a", None), ("a-b", "checkout")):
            await store.put(f"secret:{name}", VALUE, team=team)
        listed = [(entry.reference, entry.team) for entry in await store.entries()]
    assert listed == [("secret:a", None), ("secret:a-b", "checkout"), ("secret:b", "payments")]


@pytest.mark.parametrize("owner", [None, "payments"])
@pytest.mark.parametrize("other", [None, "checkout", "payments"])
async def test_a_secret_of_another_owner_is_not_replaced(
    place: SecretPlace, owner: str | None, other: str | None
) -> None:
    async with place.store() as store:
        await store.put("secret:a", VALUE, team=owner)
        if owner != other:
            with pytest.raises(ConfigurationError, match="belongs to the") as refused:
                await store.put("secret:a", SecretStr("theirs"), team=other)
            assert "theirs" not in str(refused.value)
        else:
            await store.put("secret:a", VALUE, team=other)
        found = await store.find("secret:a")
    assert found is not None
    assert (found.team, found.value) == (owner, VALUE)


@pytest.mark.parametrize("owner", [None, "payments"])
@pytest.mark.parametrize("other", [None, "checkout", "payments"])
async def test_an_adapter_gets_a_secret_only_from_the_owner_that_it_names(
    place: SecretPlace, owner: str | None, other: str | None
) -> None:
    async with place.store() as store:
        await store.put("secret:a", VALUE, team=owner)
        if owner == other:
            assert await store.get_owned("secret:a", other) == VALUE
        else:
            with pytest.raises(ConfigurationError, match="belongs to the") as refused:
                await store.get_owned("secret:a", other)
            assert "busbar secrets remove a" in refused.value.fix
            assert "hush" not in str(refused.value)
        assert await store.get_owned("secret:b", other) is None


async def test_a_value_that_was_moved_to_another_name_is_not_decrypted(place: SecretPlace) -> None:
    async with place.store() as store:
        await store.put("secret:mine", SecretStr("mine"))
        await store.put("secret:theirs", SecretStr("theirs"))
        await place.run(
            "UPDATE secrets SET sealed = (SELECT sealed FROM secrets WHERE name = 'theirs')"
            " WHERE name = 'mine'"
        )
        with pytest.raises(ConfigurationError, match="secret:mine is not what was stored"):
            await store.get("secret:mine")
        assert await value_of(store, "secret:theirs") == "theirs"


async def test_a_value_that_was_given_to_another_team_is_not_decrypted(place: SecretPlace) -> None:
    async with place.store() as store:
        await store.put("secret:a", VALUE, team="payments")
        await place.run("UPDATE secrets SET team = 'checkout'")
        with pytest.raises(ConfigurationError, match="changed from outside"):
            await store.find("secret:a")


async def test_another_key_is_named_and_nothing_is_mixed(place: SecretPlace) -> None:
    async with place.store() as store:
        await store.put("secret:a", VALUE)
    async with place.store(OTHER_KEY) as store:
        for attempt in (store.get("secret:a"), store.put("secret:b", VALUE)):
            with pytest.raises(ConfigurationError, match="another data key") as refused:
                await attempt
            assert Cipher(KEY).key_id in str(refused.value)
            assert "BUSBAR_DATA_KEY" in refused.value.fix
        assert [entry.reference for entry in await store.entries()] == ["secret:a"]


async def test_rekeying_reencrypts_everything_and_may_be_repeated(place: SecretPlace) -> None:
    async with place.store() as store:
        for name in ("a", "b", "c"):
            await store.put(f"secret:{name}", SecretStr(name), team="payments")
    async with place.store(OTHER_KEY) as store:
        assert await store.rekey(Cipher(KEY)) == 3
        assert await store.rekey(Cipher(KEY)) == 0
        assert [await value_of(store, f"secret:{name}") for name in "abc"] == ["a", "b", "c"]
        await store.put("secret:d", VALUE)
    async with place.store() as store:
        with pytest.raises(ConfigurationError, match="another data key"):
            await store.get("secret:a")


async def test_rekeying_with_a_wrong_old_key_changes_nothing(place: SecretPlace) -> None:
    async with place.store() as store:
        await store.put("secret:a", VALUE)
        await store.put("secret:b", VALUE)
        before = await place.rows()
    async with place.store(OTHER_KEY) as store:
        with pytest.raises(ConfigurationError, match="another data key"):
            await store.rekey(Cipher(b"x" * 32))
    assert await place.rows() == before


async def test_many_concurrent_writers_all_succeed(place: SecretPlace) -> None:
    async def write(number: int) -> None:
        async with place.store() as store:
            for turn in range(5):
                await store.put(f"secret:s{number}", SecretStr(f"{number}-{turn}"))
                await store.put("secret:shared", SecretStr(f"{number}-{turn}"))

    await asyncio.gather(*(write(number) for number in range(6)))
    async with place.store() as store:
        found = [await value_of(store, f"secret:s{number}") for number in range(6)]
        shared = await value_of(store, "secret:shared")
    assert found == [f"{number}-4" for number in range(6)]
    assert shared in found


async def test_a_caller_that_is_cancelled_leaves_the_table_usable(place: SecretPlace) -> None:
    async with place.store() as store:
        for turns in range(30):
            writing = asyncio.create_task(store.put("secret:a", SecretStr(str(turns))))
            for _ in range(turns):
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        await store.put("secret:a", VALUE)
        assert await value_of(store, "secret:a") == VALUE.get_secret_value()


@pytest.mark.parametrize("text", ["", "x" * 65_537, "hush \ud800"])
async def test_what_cannot_be_stored_is_refused_and_not_quoted(
    place: SecretPlace, text: str
) -> None:
    async with place.store() as store:
        with pytest.raises(ConfigurationError, match="not text in UTF-8") as refused:
            await store.put("secret:a", SecretStr(text))
        assert await store.entries() == []
    assert refused.value.__cause__ is None
    assert refused.value.__context__ is None


@pytest.mark.parametrize("team", ["", "Payments", "a/b", "-a", "a" * 64])
async def test_what_is_not_a_team_owns_nothing(place: SecretPlace, team: str) -> None:
    async with place.store() as store:
        with pytest.raises(ConfigurationError, match="not a valid team"):
            await store.put("secret:a", VALUE, team=team)
        assert await store.entries() == []


async def test_what_is_not_a_reference_reaches_no_table(place: SecretPlace) -> None:
    async with place.store() as store:
        for call in (
            store.get("secret:A"),
            store.put("../a", VALUE),
            store.remove("secret:a' OR '1'='1"),
        ):
            with pytest.raises(ConfigurationError, match="not a reference to a secret"):
                await call
