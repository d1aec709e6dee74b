"""Checks of the values of settings that have a form: addresses, URLs, keys, networks.

Each returns if the value can be used, and else raises ``ValueError`` with a clause that follows the
name of the variable. What may hold a password is not quoted.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from math import isfinite
from typing import Final
from urllib.parse import SplitResult, urlsplit

from busbar.kernel.data_key import parse_data_key
from busbar.kernel.errors import ConfigurationError
from busbar.kernel.host_port import split_address
from busbar.kernel.token import check_token

_HOST_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?\.?")
_DATABASE_SCHEMES: Final = ("postgresql", "postgres")


def check_brokers(text: str) -> None:
    """Check comma-separated ``host:port``."""
    addresses = [part.strip() for part in text.split(",") if part.strip()]
    if not addresses:
        raise ValueError("write host:port, or several of them with commas between")
    for address in addresses:
        split_address(address)


def check_host(text: str) -> None:
    """Check an address to listen on; an empty one stands for every address."""
    if text and not _is_host(text):
        raise ValueError("write one IP address or host name, without a port")


def check_http_url(text: str) -> None:
    """Check the URL of an HTTP server."""
    url = _split(text)
    if url is None or url.scheme not in ("http", "https") or not url.hostname:
        raise ValueError("write an http or https URL, such as http://127.0.0.1:4318")


def check_database_url(text: str) -> None:
    """Check that a URL can be that of a PostgreSQL database, which may have several hosts."""
    try:
        url: SplitResult | None = urlsplit(text)
    except ValueError:  # its message may quote the URL
        url = None
    if url is None or url.scheme not in _DATABASE_SCHEMES or "://" not in text:
        raise ValueError("write it as postgresql://role:password@host/database")
    if url.fragment:
        raise ValueError("percent-encode special characters of role and password (# is %23)")


def check_data_key(text: str) -> None:
    """Check the key that encrypts secrets."""
    try:
        parse_data_key(text)
    except ConfigurationError as error:
        raise ValueError(f"it is not 32 bytes of base64. {error.fix}") from None


def check_bearer_token(text: str) -> None:
    """Check the token of the gateway."""
    try:
        check_token(text, "it")
    except ConfigurationError:
        raise ValueError("a token is printable ASCII, in one line, and not empty") from None


def check_networks(texts: Iterable[str]) -> None:
    """Check networks in CIDR form."""
    for text in texts:
        try:
            ip_network(text)
        except ValueError:
            raise ValueError(
                f"{text!r} is not a network in CIDR form, such as 10.0.0.0/8, with no host bits set"
            ) from None


def check_delays(seconds: Iterable[float]) -> None:
    """Check delays in seconds."""
    if any(not isfinite(one) or one < 0 for one in seconds):
        raise ValueError("a delay is a number of seconds, 0 or more")


def _split(text: str) -> SplitResult | None:
    if any(mark.isspace() for mark in text):
        return None
    try:
        url = urlsplit(text)
        _ = url.port  # read only here
    except ValueError:
        return None
    return url


def _is_host(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return _HOST_NAME.fullmatch(text) is not None
    return True
