"""Commands that act as a principal: `busbar --as NAME`."""

from pathlib import Path

import pytest

from busbar.messages.signing import SigningKey
from unit.sdk.fake_gateway import FakeGateway, operation, resource
from unit.sdk.running import Run

KEY = SigningKey.generate()
ORDERS = "payments/dev/event-stream/orders"


def write(path: Path, key: SigningKey) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(key.pem)
    path.chmod(0o600)
    return path


@pytest.fixture(autouse=True)
def known(gateway: FakeGateway) -> None:
    gateway.tokens_of["payments-ci"] = KEY.public
    gateway.principals = [
        {"principal": "payments-ci", "kind": "bot", "sources": ["urn:team:payments"]}
    ]
    gateway.resources = [resource(ORDERS)]


@pytest.fixture
def no_token(home: Path) -> None:
    (home / "token").unlink()


@pytest.mark.usefixtures("no_token")
@pytest.mark.parametrize("before", [True, False])
def test_a_command_acts_as_a_principal_wherever_the_option_stands(
    busbar: Run, home: Path, *, before: bool
) -> None:
    write(home / "keys" / "payments-ci.pem", KEY)
    who = ("--as", "payments-ci")
    done = busbar(*who, "get") if before else busbar("get", *who)
    assert done.exit_code == 0, done.stderr
    assert ORDERS in done.stdout


@pytest.mark.usefixtures("no_token")
def test_the_key_may_be_in_another_file(busbar: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "elsewhere" / "ci.pem", KEY)
    done = busbar("get", "--as=payments-ci", f"--key={file}")
    assert done.exit_code == 0, done.stderr


@pytest.mark.usefixtures("no_token")
def test_variables_name_the_principal_and_its_key(
    busbar: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUSBAR_PRINCIPAL", "payments-ci")
    monkeypatch.setenv("BUSBAR_KEY_FILE", str(write(tmp_path / "ci.pem", KEY)))
    assert busbar("get").exit_code == 0


def test_a_token_file_that_is_named_takes_precedence_over_the_variables(
    busbar: Run, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUSBAR_PRINCIPAL", "payments-ci")  # which has no key here
    assert busbar("get").exit_code == 9
    assert busbar("get", "--token-file", str(home / "token")).exit_code == 0


def test_what_a_principal_publishes_has_its_own_source(
    busbar: Run, gateway: FakeGateway, home: Path, tmp_path: Path
) -> None:
    write(home / "keys" / "payments-ci.pem", KEY)
    gateway.outcomes = [operation("x", "succeeded")]
    file = tmp_path / "orders.yaml"
    named = "team: payments\nenvironment: dev\npromise: event-stream\nname: orders\nspec: {}\n"
    file.write_text(named)
    assert busbar("--as", "payments-ci", "apply", "-f", str(file), "--yes").exit_code == 0
    assert busbar("--as", "payments-ci", "delete", ORDERS, "--yes").exit_code == 0
    assert busbar("apply", "-f", str(file), "--yes").exit_code == 0
    sources = [event.source for event in gateway.published]
    assert sources[:2] == ["urn:team:payments", "urn:team:payments"]
    assert sources[2].startswith("urn:busbar:cli:")


def test_a_principal_with_several_sources_is_asked_for_one(
    busbar: Run, gateway: FakeGateway, home: Path
) -> None:
    write(home / "keys" / "payments-ci.pem", KEY)
    gateway.principals[0]["sources"] = ["urn:a", "urn:b"]
    done = busbar("--as", "payments-ci", "delete", ORDERS, "--yes")
    assert done.exit_code != 0
    assert "2 sources" in done.stderr
    assert gateway.published == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--key", "x.pem"), "whose it is"),
        (("--as", "ci", "--token-file", "token"), "Leave one of them out"),
        (("--as", "unknown"), "busbar keys create"),
    ],
)
def test_options_that_say_no_one_are_explained(
    arguments: tuple[str, ...], words: str, busbar: Run
) -> None:
    done = busbar("get", *arguments)
    assert done.exit_code != 0
    assert words in done.stderr
