"""A principal's credential: tokens that are made and renewed, and the source that is its own."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from busbar.kernel.errors import ConfigurationError
from busbar.messages.access_token import MAX_SECONDS
from busbar.messages.signing import SigningKey
from busbar.sdk import Client, InvalidIntent, KeyToken
from busbar.sdk.discovery import find_platform
from unit.sdk.fake_gateway import FakeGateway

KEY = SigningKey.generate()
ORDERS = "payments/dev/event-stream/orders"


def parts(token: str) -> list[Any]:
    header, claims, _ = token.split(".")
    return [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, claims)]


class Clock:
    def __init__(self) -> None:
        self.now = 1_700_000_000.9

    def __call__(self) -> float:
        return self.now


def test_a_token_names_the_principal_and_the_key_and_is_valid_for_ten_minutes() -> None:
    header, claims = parts(KeyToken("ci", KEY, now=Clock()).token().get_secret_value())
    assert header == {"alg": "EdDSA", "kid": KEY.public.id, "typ": "JWT"}
    begin = 1_700_000_000
    assert claims == {"aud": "busbar", "sub": "ci", "iat": begin, "exp": begin + MAX_SECONDS}


def test_a_token_is_renewed_long_before_it_ends_and_when_the_clock_was_set_back() -> None:
    clock = Clock()
    made = KeyToken("ci", KEY, now=clock)
    first = made.token()
    clock.now += MAX_SECONDS / 2 - 1
    assert made.token() is first
    clock.now += 1
    second = made.token()
    assert second != first
    clock.now -= 3600
    assert parts(made.token().get_secret_value())[1]["iat"] == int(clock.now)


def test_a_credential_shows_neither_its_key_nor_its_token() -> None:
    made = KeyToken("ci", KEY)
    token = made.token().get_secret_value()
    shown = repr(made) + str(vars(made))
    assert "ci" in shown
    assert token not in shown
    assert KEY.pem not in shown


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "gateway.json").write_text('{"url": "http://here:1"}')
    (tmp_path / "keys").mkdir()
    write(tmp_path / "keys" / "ci.pem", KEY.pem)
    return tmp_path


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_principal_is_found_in_variables_and_its_key_in_the_home_or_a_file(home: Path) -> None:
    about = {"BUSBAR_HOME": str(home), "BUSBAR_PRINCIPAL": "ci", "BUSBAR_TOKEN": "not-used"}
    _, found = find_platform(environment=about)
    assert isinstance(found, KeyToken)
    assert parts(found.token().get_secret_value())[0]["kid"] == KEY.public.id
    other = SigningKey.generate()
    about["BUSBAR_KEY_FILE"] = str(write(home / "other.pem", other.pem))
    _, found = find_platform(environment=about)
    assert isinstance(found, KeyToken)
    assert parts(found.token().get_secret_value())[0]["kid"] == other.public.id


def test_a_credential_that_is_given_takes_precedence(home: Path) -> None:
    about = {"BUSBAR_HOME": str(home), "BUSBAR_PRINCIPAL": "ci"}
    given = KeyToken("other", KEY)
    assert find_platform(token=given, environment=about)[1] is given
    assert not isinstance(find_platform(token="text", environment=about)[1], KeyToken)  # noqa: S106 - none


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (None, 0o600, "busbar keys create"),
        (KEY.pem, 0o644, "chmod 600"),
        ("not a key", 0o600, "not a private key"),
        ("", 0o600, "not a private key"),
    ],
)
def test_a_key_file_that_cannot_be_used_is_an_error(
    content: str | None, mode: int, words: str, home: Path
) -> None:
    path = home / "keys" / "ci.pem"
    path.unlink() if content is None else write(path, content, mode)
    with pytest.raises(ConfigurationError, match=words) as caught:
        find_platform(environment={"BUSBAR_HOME": str(home), "BUSBAR_PRINCIPAL": "ci"})
    assert not content or content not in str(caught.value)


async def test_a_principal_publishes_with_its_only_source_unless_one_is_given(
    gateway: FakeGateway,
) -> None:
    gateway.tokens_of["ci"] = KEY.public
    gateway.principals = [declared("urn:of:ci")]
    async with Client(gateway.url, KeyToken("ci", KEY)) as client:
        await client.apply(ORDERS, {})
        await client.apply(ORDERS, {})
    async with Client(gateway.url, KeyToken("ci", KEY), source="urn:given") as client:
        await client.apply(ORDERS, {})
    assert [one.source for one in gateway.published] == ["urn:of:ci", "urn:of:ci", "urn:given"]
    assert gateway.requests.count("GET /v1/principals/ci") == 1


@pytest.mark.parametrize(("sources", "word"), [((), "no source"), (("a", "b"), "2 sources")])
async def test_a_principal_without_one_source_has_to_name_it(
    sources: tuple[str, ...], word: str, gateway: FakeGateway
) -> None:
    gateway.tokens_of["ci"] = KEY.public
    gateway.principals = [declared(*sources)]
    async with Client(gateway.url, KeyToken("ci", KEY)) as client:
        with pytest.raises(InvalidIntent, match=word):
            await client.apply(ORDERS, {})
    assert gateway.published == []


async def test_a_principal_with_every_source_publishes_with_the_default(
    gateway: FakeGateway,
) -> None:
    gateway.tokens_of["ci"] = KEY.public
    gateway.principals = [declared("*")]
    async with Client(gateway.url, KeyToken("ci", KEY), default_source="urn:mine") as client:
        await client.apply(ORDERS, {})
    assert gateway.published[0].source == "urn:mine"


def declared(*sources: str) -> dict[str, Any]:
    return {"principal": "ci", "kind": "bot", "sources": list(sources)}
