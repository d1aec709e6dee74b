"""The text form of webhook secrets: Standard Webhooks 1.0.0, ``whsec_`` and base64.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
No error has any part of a secret, or says how long one is.
"""

from base64 import b64decode
from typing import Final

from busbar.kernel.errors import ConfigurationError

PREFIX: Final = "whsec_"
KEY_BYTES: Final = range(24, 65)
"""Sizes of a secret, in bytes, that the specification allows."""

MAX_SECRETS: Final = 16
"""Secrets that sign at the same time; receivers look at no more signatures."""

FIX: Final = f"Write {PREFIX} followed by the base64 of 24 to 64 random bytes."


def parse_webhook_key(text: str) -> bytes:
    """Return the key in ``text``, whose base64 may lack its padding, without white space around.

    Raises:
        ConfigurationError: ``text`` has another form.
    """
    encoded = text.strip().removeprefix(PREFIX)
    try:
        key = b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        key = None
    if key is None or not text.strip().startswith(PREFIX):
        # Raised outside the handler: the cause could contain a part of the secret.
        raise ConfigurationError(
            "A webhook secret is not in the form of Standard Webhooks.", fix=FIX
        )
    check_key(key)
    return key


def check_key(key: bytes) -> None:
    """Check the size of a key.

    Raises:
        ConfigurationError: it does not have 24 to 64 bytes.
    """
    if len(key) not in KEY_BYTES:
        raise ConfigurationError("A webhook secret does not have 24 to 64 bytes.", fix=FIX)


def parse_webhook_keys(text: str) -> tuple[bytes, ...]:
    """Return the keys in ``text``, one a line, the current one first.

    Raises:
        ConfigurationError: there is none, there are too many, or one has another form.
    """
    lines = text.split()
    if not 0 < len(lines) <= MAX_SECRETS:
        raise ConfigurationError(
            f"There is no webhook secret, or there are more than {MAX_SECRETS}.",
            fix=f"Store one secret a line, the current one first. {FIX}",
        )
    return tuple(parse_webhook_key(line) for line in lines)
