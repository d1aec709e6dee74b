"""`busbar secrets`: values come from files and pipes, and are printed only on request."""

import base64
import json
from pathlib import Path

import pytest

from unit.sdk.running import Run

HUSH = "hush-hush"


def test_a_secret_goes_in_by_standard_input_and_out_by_reveal(busbar: Run) -> None:
    stored = busbar("secrets", "put", "a", "--team", "payments", "--for", "text", stdin=f"{HUSH}\n")
    assert stored.exit_code == 0
    assert "secret:a" in stored.stdout
    shown = busbar("secrets", "show", "secret:a", "--reveal")
    assert shown.stdout == f"{HUSH}\n"
    assert "warning" in shown.stderr
    assert HUSH not in stored.output + shown.stderr


def test_without_reveal_no_value_is_printed(busbar: Run) -> None:
    busbar("secrets", "put", "a", "--team", "payments", "--for", "text", stdin=HUSH)
    shown, listed = busbar("secrets", "show", "a"), busbar("secrets", "list")
    assert HUSH not in shown.output + listed.output
    assert "--reveal" in shown.stderr
    for said in (shown.stdout, listed.stdout):
        assert "secret:a" in said
        assert "payments" in said


def test_a_secret_comes_from_a_file_of_several_lines(busbar: Run, tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text("one\ntwo\n", encoding="utf-8")
    assert busbar("secrets", "put", "a", "--from-file", str(file)).exit_code == 0
    assert busbar("secrets", "show", "a", "--reveal").stdout == "one\ntwo\n"


def test_the_list_is_json_for_programs_and_empty_to_begin_with(busbar: Run) -> None:
    assert "No secrets found" in busbar("secrets", "list").stdout
    busbar("secrets", "put", "a", stdin=HUSH)
    (entry,) = json.loads(busbar("secrets", "list", "-o", "json").stdout)
    assert (entry["secret"], entry["team"], entry["readable"]) == ("secret:a", None, "yes")


def test_what_was_removed_is_not_there_any_more(busbar: Run) -> None:
    busbar("secrets", "put", "a", stdin=HUSH)
    assert busbar("secrets", "remove", "a").exit_code == 0
    for again in (busbar("secrets", "remove", "a"), busbar("secrets", "show", "a")):
        assert again.exit_code == 6
        assert "busbar secrets list" in again.stderr


def test_another_owner_is_refused_with_what_to_do(busbar: Run) -> None:
    busbar("secrets", "put", "a", "--team", "payments", "--for", "text", stdin=HUSH)
    refused = busbar("secrets", "put", "a", stdin="other")
    assert refused.exit_code == 9
    assert "belongs to the team payments" in refused.stderr
    assert "busbar secrets remove a" in refused.stderr
    assert "without --team" in refused.stderr
    assert busbar("secrets", "show", "a", "--reveal").stdout == f"{HUSH}\n"


def test_a_team_cannot_own_the_credentials_of_the_cluster(busbar: Run) -> None:
    url = "postgresql://a:b@127.0.0.1:5432/postgres"
    refused = busbar("secrets", "put", "postgres-cluster", "--team", "payments", stdin=url)
    assert refused.exit_code == 9
    assert "Leave out --team" in refused.stderr
    assert "No secrets found" in busbar("secrets", "list").stdout
    assert busbar("secrets", "put", "postgres-cluster", stdin=url).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "stdin", "sentence"),
    [
        (("put", "A b"), HUSH, "not a reference to a secret"),
        (("put", "a", "--team", "X"), HUSH, "not a valid team"),
        (("put", "a"), "", "empty"),
        (("put", "a", "--from-file", "not-there"), None, "cannot be read"),
        (("rekey", "--old-key", "not-there"), None, "cannot be read"),
    ],
)
def test_what_cannot_be_is_explained(
    busbar: Run, arguments: tuple[str, ...], stdin: str | None, sentence: str
) -> None:
    refused = busbar("secrets", *arguments, stdin=stdin)
    assert refused.exit_code == 9
    assert sentence in refused.stderr
    assert "fix:" in refused.stderr
    assert HUSH not in refused.output


def test_bytes_that_are_no_text_are_refused_and_not_shown(busbar: Run, tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_bytes(HUSH.encode() + b"\xff\xfe")
    refused = busbar("--debug", "secrets", "put", "a", "--from-file", str(file))
    assert refused.exit_code == 9
    assert "base64" in refused.stderr
    assert HUSH not in refused.output


def test_a_value_is_never_an_argument(busbar: Run) -> None:
    assert busbar("secrets", "put", "a", HUSH).exit_code == 2


def test_a_new_data_key_takes_over_by_rekeying(
    busbar: Run, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busbar("secrets", "put", "a", stdin=HUSH)
    old = tmp_path / "old.key"
    (home / "data.key").rename(old)
    monkeypatch.setenv("BUSBAR_DATA_KEY", base64.b64encode(b"n" * 32).decode())
    locked = busbar("secrets", "show", "a", "--reveal")
    assert locked.exit_code == 9
    assert "another data key" in locked.stderr
    assert "busbar secrets rekey --old-key" in locked.stderr
    assert "another data key" in busbar("secrets", "list").stdout
    assert "1 secret" in busbar("secrets", "rekey", "--old-key", str(old)).stdout
    assert busbar("secrets", "show", "a", "--reveal").stdout == f"{HUSH}\n"


def test_an_unreachable_database_is_reported_as_such(
    busbar: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUSBAR_DATABASE_URL", f"postgresql://u:{HUSH}@127.0.0.1:1/d")
    away = busbar("secrets", "list")
    assert away.exit_code == 7
    assert "BUSBAR_DATABASE_URL" in away.stderr
    assert HUSH not in away.output


# -- the use of a secret --------------------------------------------------------------------------

WHSEC = "whsec_" + base64.b64encode(b"k" * 32).decode()
URL = "postgresql://admin:hunter2@db.example.com:5432/postgres"
WRONG_URL = "postgresql://admin:hunter2@correct-horse#battery@db.example.com:5432/postgres"


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (("postgres-cluster",), WRONG_URL),
        (("postgres-cluster",), HUSH),
        (("database-orders", "--team", "payments"), HUSH),
        (("another-cluster",), WRONG_URL),
        (("another-cluster", "--for", "postgres-url"), HUSH),
        (("another-cluster", "--for", "postgres-url"), "postgresql://admin:hunter2@db:port/d"),
        (("hooks", "--team", "payments"), HUSH),
        (("hooks", "--team", "payments"), "whsec_hunter2"),
        (("hooks", "--team", "payments"), "whsec_" + base64.b64encode(b"k" * 23).decode()),
        (("hooks", "--team", "payments"), "whsec_" + base64.b64encode(b"k" * 65).decode()),
        (("hooks", "--team", "payments"), f"{WHSEC}\nhunter2"),
        (("hooks", "--team", "payments"), f"{WHSEC}\n" * 17),
        (("hooks", "--for", "webhook"), " \n"),
        (("mine", "--for", "key"), HUSH),
        (("mine", "--for", "key"), base64.b64encode(b"k" * 31).decode()),
        (("mine", "--for", "key"), "hunter2-\u00e9"),
        (("postgres-cluster", "--for", "text"), HUSH),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_leaves_nothing_and_is_not_shown(
    busbar: Run, arguments: tuple[str, ...], value: str
) -> None:
    refused = busbar("--debug", "secrets", "put", *arguments, stdin=value)
    assert refused.exit_code == 9
    assert f"secret:{arguments[0]}" in refused.stderr
    assert "fix:" in refused.stderr
    for piece in ("hunter2", "correct-horse", "battery", "db.example", HUSH, value.strip()[-12:]):
        assert not piece or piece not in refused.output
    assert "No secrets found" in busbar("secrets", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "value", "kind"),
    [
        (("postgres-cluster",), URL, "postgres-url"),
        (("another-cluster",), URL, "postgres-url"),
        (("hooks", "--team", "payments"), f"{WHSEC}\n{WHSEC}", "webhook"),
        (("hooks",), WHSEC, "webhook"),
        (("mine", "--for", "key"), base64.b64encode(b"k" * 32).decode(), "key"),
        (("mine",), HUSH, "text"),
        (("mine", "--team", "payments", "--for", "text"), WRONG_URL, "text"),
    ],
)
def test_the_use_of_a_secret_is_given_or_follows_from_name_value_and_owner(
    busbar: Run, arguments: tuple[str, ...], value: str, kind: str
) -> None:
    stored = busbar("secrets", "put", *arguments, stdin=value)
    assert stored.exit_code == 0, stored.stderr
    assert f"as {kind}" in stored.stdout
    (entry,) = json.loads(busbar("secrets", "list", "-o", "json").stdout)
    assert entry["for"] == kind
    assert busbar("secrets", "show", arguments[0], "--reveal").stdout == f"{value}\n"


def test_a_secret_keeps_its_use_until_another_is_given(busbar: Run) -> None:
    busbar("secrets", "put", "another", "--for", "postgres-url", stdin=URL)
    refused = busbar("secrets", "put", "another", stdin=HUSH)
    assert refused.exit_code == 9
    assert busbar("secrets", "show", "another", "--reveal").stdout == f"{URL}\n"
    assert busbar("secrets", "put", "another", "--for", "text", stdin=HUSH).exit_code == 0
    assert busbar("secrets", "put", "another", stdin=WRONG_URL).exit_code == 0


def test_a_refused_value_does_not_replace_the_one_before(busbar: Run) -> None:
    assert busbar("secrets", "put", "postgres-cluster", stdin=URL).exit_code == 0
    assert busbar("secrets", "put", "postgres-cluster", stdin=WRONG_URL).exit_code == 9
    assert busbar("secrets", "show", "postgres-cluster", "--reveal").stdout == f"{URL}\n"
