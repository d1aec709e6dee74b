"""The form of a bearer token."""

from busbar.kernel.errors import ConfigurationError


def check_token(text: str, place: str) -> str:
    """Return ``text`` without surrounding white space if it can be a bearer token.

    Raises:
        ConfigurationError: it is empty, or has a character that an HTTP header cannot hold. The
            error names the ``place`` that it is from, and does not quote it.
    """
    token = text.strip()
    if not token or not (token.isascii() and token.isprintable()):
        raise ConfigurationError(
            f"{place} does not hold a token: a token is printable ASCII, in one line.",
            fix="Copy the token again, as the gateway has it.",
        )
    return token
