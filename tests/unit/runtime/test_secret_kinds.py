"""A value is checked against the use of its secret, and no error has a part of it."""

import base64
import traceback

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError
from busbar.kernel.webhook_secret import MAX_SECRETS, parse_webhook_keys
from busbar.runtime.secrets.kinds import (
    SecretKind,
    check_declared,
    check_value,
    kind_of_name,
    kind_of_value,
)

PIECES = st.text(alphabet="QXZJKVW0123456789@:/#?%[]&=+é ~\n\t\0", min_size=4, max_size=30)
"""Nothing that the sentences of errors contain."""

keys = st.binary(min_size=24, max_size=64)


def whsec(key: bytes, *, padded: bool = True) -> str:
    text = base64.b64encode(key).decode()
    return "whsec_" + (text if padded else text.rstrip("="))


def refusal(value: str, kind: SecretKind) -> str:
    """The error about ``value``, with everything behind it; empty if it is accepted."""
    try:
        check_value("secret:a", SecretStr(value), kind)
    except ConfigurationError as error:
        return "".join(traceback.format_exception(error)) + repr(error)
    return ""


@given(
    st.lists(PIECES, min_size=1, max_size=4),
    st.sampled_from(["", "whsec_", "postgresql://", "postgresql://QXZJ@"]),
    st.sampled_from(["", "@", ":", "#", "/", "\n", "?sslmode=", "@db:"]),
    st.sampled_from(SecretKind),
)
@example(["hunter2", "c0rr3ct-h0rs3", "b4tt3ry"], "postgresql://", "@", SecretKind.POSTGRES_URL)
@example(["QXZJQXZJ", "0123"], "whsec_", "\n", SecretKind.WEBHOOK)
@example(["é" * 8], "", "", SecretKind.KEY)
def test_no_refusal_has_a_part_of_the_value(
    pieces: list[str], start: str, between: str, kind: SecretKind
) -> None:
    said = refusal(start + between.join(pieces), kind)
    for piece in pieces:
        for position in range(len(piece) - 3):
            if not piece[position : position + 4].isspace():
                assert piece[position : position + 4] not in said


@given(st.lists(st.tuples(keys, st.booleans()), min_size=1, max_size=MAX_SECRETS))
def test_webhook_secrets_are_accepted_as_they_are_read(chosen: list[tuple[bytes, bool]]) -> None:
    text = "\n".join(whsec(key, padded=padded) for key, padded in chosen)
    assert refusal(text, SecretKind.WEBHOOK) == ""
    assert parse_webhook_keys(text) == tuple(key for key, _ in chosen)
    assert kind_of_value(SecretStr(text)) is SecretKind.WEBHOOK


@given(keys, st.binary(max_size=23) | st.binary(min_size=65, max_size=90))
def test_one_webhook_secret_of_another_size_refuses_all(key: bytes, other: bytes) -> None:
    assert "24 to 64 bytes" in refusal(f"{whsec(key)}\n{whsec(other)}", SecretKind.WEBHOOK)


@given(st.binary(max_size=40))
def test_a_key_has_32_bytes(key: bytes) -> None:
    said = refusal(base64.b64encode(key).decode(), SecretKind.KEY)
    assert (said == "") is (len(key) == 32)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("postgres-cluster", SecretKind.POSTGRES_URL),
        ("database-a--dev--b", SecretKind.POSTGRES_URL),
        ("postgres-cluster-2", None),
        ("databases", None),
    ],
)
def test_some_names_stand_for_a_use(name: str, kind: SecretKind | None) -> None:
    assert kind_of_name(name) is kind
    check_declared(f"secret:{name}", name, SecretKind.POSTGRES_URL)
    if kind is not None:
        with pytest.raises(ConfigurationError, match="always used as postgres-url"):
            check_declared(f"secret:{name}", name, SecretKind.TEXT)
