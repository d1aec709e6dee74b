"""The form of a data key: 32 bytes in base64."""

import base64
from typing import Final

from busbar.kernel.errors import ConfigurationError

KEY_BYTES: Final = 32


def parse_data_key(text: str, place: str = "The data key") -> bytes:
    """Return the bytes of the key that is written as ``text``.

    Raises:
        ConfigurationError: it is not 32 bytes in base64. The error names the ``place`` that it is
            from, and does not quote it.
    """
    try:
        raw = base64.b64decode(text.strip(), validate=True)
    except ValueError:  # also for characters outside of ASCII
        raw = b""
    if len(raw) != KEY_BYTES:
        raise ConfigurationError(
            f"{place} is not 32 bytes of base64.",
            fix="Make one with: head -c 32 /dev/urandom | base64",
        )
    return raw
