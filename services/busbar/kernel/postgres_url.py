"""The URL of a PostgreSQL server, read strictly, so that no part of a password passes for a host.

URLs are secrets: neither an error nor a ``repr`` of this module has any part of one. Drivers are
more lenient: of ``postgresql://admin:a@b#c@db/postgres`` they take ``b`` as the host, and name it
in their errors.
"""

import re
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv6Address
from typing import Final
from urllib.parse import parse_qsl, unquote

from busbar.kernel.errors import ConfigurationError

FORMAT: Final = "postgresql://<user>:<password>@<host>:<port>/<database>"
DEFAULT_PORT: Final = 5432

_MAX_PORT: Final = 65_535
_ENCODE: Final = "percent-encode special characters of user and password (@ is %40, # is %23)"
_CHARACTER: Final = r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})"
_URL: Final = re.compile(
    rf"postgres(?:ql)?://(?P<user>{_CHARACTER}+)(?::(?P<password>(?:{_CHARACTER}|:)*))?@"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?)"
    rf"(?::(?P<port>[0-9]{{1,5}}))?(?:/(?P<database>{_CHARACTER}*))?"
    r"(?:\?(?P<options>[A-Za-z0-9._~/%=&+-]*))?"
)
"""RFC 3986, section 3, with one host and without a fragment."""

_SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_OPTIONS: Final = frozenset(
    {"sslmode", "sslrootcert", "sslcert", "sslkey", "sslpassword", "sslcrl"}
    | {"ssl_min_protocol_version", "ssl_max_protocol_version"}
)
_TLS_VERSIONS: Final = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """The parts of a URL, decoded. Its ``repr`` shows none of them."""

    host: str = field(repr=False)
    port: int = field(repr=False)
    user: str = field(repr=False)
    password: str | None = field(repr=False)
    database: str | None = field(repr=False)
    sslmode: str | None = field(repr=False)


def parse_postgres_url(text: str) -> PostgresUrl:
    """Return the parts of ``text``.

    Raises:
        ConfigurationError: it is not the URL of one server; the error does not quote it.
    """
    found = _URL.fullmatch(text)
    if found is None:
        raise _invalid("it does not have this form")
    host, port = found["host"], int(found["port"] or DEFAULT_PORT)
    if host.startswith("["):
        host = _ipv6(host[1:-1])
    if not 0 < port <= _MAX_PORT:
        raise _invalid("its port is not between 1 and 65535")
    user, password, database = (_decoded(found[name]) for name in ("user", "password", "database"))
    return PostgresUrl(
        host=host,
        port=port,
        user=user or "",
        password=password,
        database=database or None,
        sslmode=_options(found["options"] or "").get("sslmode"),
    )


def _ipv6(text: str) -> str:
    try:
        return str(IPv6Address(text))
    except AddressValueError:
        pass
    # Raised outside the handler: the cause would quote the address.
    raise _invalid("its host is not an IPv6 address")


def _decoded(text: str | None) -> str | None:
    try:
        decoded = unquote(text, errors="strict") if text is not None else None
    except UnicodeDecodeError:
        decoded = "\0"  # refused outside the handler, as the cause would quote the text
    if decoded is not None and not decoded.isprintable():
        raise _invalid("user, password or database has a character that cannot be sent")
    return decoded


def _options(query: str) -> dict[str, str]:
    """Return the options; others than those for TLS would be sent to the server as settings."""
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if len(options) != len(pairs) or not options.keys() <= _OPTIONS:
        raise _invalid(f"its options may be {', '.join(sorted(_OPTIONS))}, each once")
    if options.get("sslmode", "prefer") not in _SSL_MODES:
        raise _invalid(f"sslmode has to be one of {', '.join(_SSL_MODES)}")
    for name in ("ssl_min_protocol_version", "ssl_max_protocol_version"):
        if options.get(name, _TLS_VERSIONS[-1]) not in _TLS_VERSIONS:
            raise _invalid(f"{name} has to be one of {', '.join(_TLS_VERSIONS)}")
    return options


def _invalid(why: str) -> ConfigurationError:
    return ConfigurationError(
        f"The value is not the URL of one PostgreSQL server: {why}.",
        fix=f"Write {FORMAT}, and {_ENCODE}.",
    )
