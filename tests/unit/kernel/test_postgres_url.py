"""URLs of PostgreSQL servers are read strictly, and no error has a part of one."""

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from busbar.kernel.errors import ConfigurationError
from busbar.kernel.postgres_url import parse_postgres_url

PIECE = st.text(alphabet="QXZJKVW0123456789@:/#?%[]&=é ~\n", min_size=4, max_size=12)
"""Nothing that the sentences of errors contain."""

hosts = st.sampled_from(["db.example.com", "db_1", "10.0.0.7", "[::1]", "h"])
names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1)


@given(names, names, hosts, st.none() | st.integers(1, 65535), names)
def test_what_was_percent_encoded_comes_back(
    user: str, password: str, host: str, port: int | None, database: str
) -> None:
    place = host if port is None else f"{host}:{port}"
    login = f"{quote(user, safe='')}:{quote(password, safe='')}"
    url = parse_postgres_url(f"postgresql://{login}@{place}/{quote(database, safe='')}")
    assert (url.user, url.password, url.database) == (user, password, database)
    assert (url.host, url.port) == (host.strip("[]"), port or 5432)


@given(st.lists(PIECE, min_size=3, max_size=3), st.sampled_from(["", "?sslmode=", "/"]))
@example(["admin", "hunter2@correct-horse#battery", "db.example.com:5432"], "")
@example(["admin", "0123@QXZJ#4567", "QQQQ"], "")
def test_no_error_and_no_repr_has_a_part_of_a_url(pieces: list[str], end: str) -> None:
    user, password, host = pieces
    text = f"postgresql://{user}:{password}@{host}/postgres{end}{host}"
    try:
        said = repr(parse_postgres_url(text))
    except ConfigurationError as error:
        said = f"{error!r} {error.__cause__!r} {error.__context__!r}"
    for piece in pieces:
        for start in range(len(piece) - 3):
            assert piece[start : start + 4] not in said


@given(st.text(alphabet="aQ1", min_size=1), st.sampled_from('@/#?[] \\^|"<>%é'), st.text("bQ1"))
@example("hunter2", "@", "correct-horse#battery")
def test_a_password_that_is_not_encoded_is_refused(one: str, special: str, other: str) -> None:
    with pytest.raises(ConfigurationError, match="percent-encode"):
        parse_postgres_url(f"postgresql://admin:{one}{special}{other}@db.example.com:5432/postgres")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "postgresql://",
        "mysql://u:p@h/d",
        "postgresql+asyncpg://u:p@h/d",
        "postgresql://h/d",
        "postgresql://:p@h/d",
        "postgresql://u:p@/d",
        "postgresql://u:p@a,b/d",
        "postgresql://u:p@a:1,b:2/d",
        "postgresql://u:p@%2Fvar%2Frun/d",
        "postgresql://u:p@h:0/d",
        "postgresql://u:p@h:65536/d",
        "postgresql://u:p@h:/d",
        "postgresql://u:p@[::g]/d",
        "postgresql://u:p@[1::2::3]/d",
        "postgresql://u:p@h/d/e",
        "postgresql://u:p@h/d#f",
        "postgresql://u:p%00@h/d",
        "postgresql://u:p%ff@h/d",
        "postgresql://u:p@h/d?sslmode=on",
        "postgresql://u:p@h/d?sslmode=require&sslmode=disable",
        "postgresql://u:p@h/d?host=elsewhere",
        "postgresql://u:p@h/d?sslrootcert=a@b",
        "postgresql://u:p@h/d?search_path=x",
        "postgresql://u:p@h/d?ssl_min_protocol_version=2",
        " postgresql://u:p@h/d",
        "postgresql://u:p@h/d\n",
    ],
)
def test_what_is_not_the_url_of_one_server_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="not the URL of one PostgreSQL server"):
        parse_postgres_url(text)


def test_password_port_database_and_options_may_be_left_out() -> None:
    url = parse_postgres_url("postgres://u@h")
    assert (url.password, url.port, url.database, url.sslmode) == (None, 5432, None, None)
    text = "postgresql://u:a:b@h/d?sslmode=verify-full&sslrootcert=/etc/ssl/root.crt"
    assert parse_postgres_url(text).sslmode == "verify-full"
    assert parse_postgres_url(text).password == "a:b"  # noqa: S105 - made up
