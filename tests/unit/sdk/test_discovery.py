"""A client without arguments finds the platform and its token, as the command line does."""

import json
import logging
from pathlib import Path

import pytest
from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError
from busbar.sdk import Client
from busbar.sdk.discovery import NoPlatform, find_platform
from unit.sdk.fake_gateway import TOKEN, FakeGateway


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of a platform that runs on this machine."""
    place = tmp_path / ".busbar"
    (place / "run").mkdir(parents=True)
    (place / "run" / "gateway.json").write_text(json.dumps({"pid": 1, "url": "http://here:1"}))
    (place / "token").write_text("of-the-home\n")
    (place / "token").chmod(0o600)
    return place


def found(**variables: str) -> tuple[str, str]:
    url, token = find_platform(environment=variables)
    assert isinstance(token, SecretStr)
    return url, token.get_secret_value()


def test_the_platform_in_the_working_directory_is_found(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.parent)
    assert found() == ("http://here:1", "of-the-home")


def test_the_home_that_is_named_is_used(home: Path) -> None:
    assert found(BUSBAR_HOME=str(home)) == ("http://here:1", "of-the-home")


def test_variables_take_precedence_over_the_home(home: Path) -> None:
    about = {"BUSBAR_HOME": str(home), "BUSBAR_URL": "http://there:2", "BUSBAR_TOKEN": "given"}
    assert found(**about) == ("http://there:2", "given")


def test_arguments_take_precedence_over_variables() -> None:
    about = {"BUSBAR_URL": "http://there:2", "BUSBAR_TOKEN": "given"}
    url, token = find_platform("http://mine:3", "own", environment=about)
    assert isinstance(token, SecretStr)
    assert (url, token.get_secret_value()) == ("http://mine:3", "own")


def test_empty_variables_count_as_unset(home: Path) -> None:
    about = {"BUSBAR_HOME": str(home), "BUSBAR_URL": "", "BUSBAR_TOKEN": ""}
    assert found(**about) == ("http://here:1", "of-the-home")


def test_a_token_may_be_text_or_wrapped_and_loses_the_end_of_its_line() -> None:
    for token in ("own\n", SecretStr("own\n")):
        assert find_platform("http://mine:3", token, environment={})[1] == SecretStr("own")


@pytest.mark.parametrize("content", [None, "", "nonsense", "[]", "{}"])
def test_without_a_platform_the_error_says_how_to_name_one(
    tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "gateway.json").write_text(content)
    with pytest.raises(NoPlatform, match="BUSBAR_URL") as caught:
        found(BUSBAR_HOME=str(tmp_path))
    assert str(tmp_path) in caught.value.problem


def test_a_token_file_that_others_can_read_is_refused(home: Path) -> None:
    (home / "token").chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        found(BUSBAR_HOME=str(home))


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff"])
def test_a_token_file_without_a_token_is_an_error(home: Path, content: bytes | None) -> None:
    path = home / "token"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="token"):
        found(BUSBAR_HOME=str(home))


@pytest.mark.parametrize("token", ["", "  ", "two\nlines", "emoji\N{GRINNING FACE}"])
def test_a_token_that_no_header_holds_is_an_error_that_does_not_quote_it(token: str) -> None:
    with pytest.raises(ConfigurationError, match="does not hold a token") as caught:
        find_platform("http://mine:3", token, environment={})
    assert not token.strip() or token not in str(caught.value)


def test_a_client_never_shows_its_token(caplog: pytest.LogCaptureFixture) -> None:
    client = Client("http://mine:3", "very-secret")
    shown = [repr(client), str(vars(client)), repr(vars(client)["_transport"].__dict__)]
    logging.getLogger().error("client: %r %s", client, vars(client))
    assert "very-secret" not in "".join(shown) + caplog.text


async def test_a_client_without_arguments_reaches_the_platform_that_runs_here(
    gateway: FakeGateway, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("BUSBAR_URL", "BUSBAR_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (home / "run" / "gateway.json").write_text(json.dumps({"url": gateway.url}))
    (home / "token").write_text(TOKEN)
    monkeypatch.setenv("BUSBAR_HOME", str(home))
    async with Client() as client:
        assert [view async for view in client.resources()] == []
