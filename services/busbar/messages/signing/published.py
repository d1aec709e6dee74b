"""Keys whose private halves are published: everyone can sign with them, so no one may."""

from collections.abc import Mapping
from typing import Final

from busbar.messages.signing.keys import PublicKey

_VECTORS: Final = "contracts/signing-vectors.json"
_RFC: Final = "RFC 8032, section 7.1"

_KEYS: Final[Mapping[str, str]] = {
    "wvWWiFOedgUmKsXMOtklplhw4I2IdJoJan9dIahEPqg": _VECTORS,
    "oXk7ioJ6wuYuCbJb7bRpciYJ7K999VIkEnO2f5SbGy8": _VECTORS,
    "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo": _RFC,
    "PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw": _RFC,
    "_FHNjmIYoaONpH7QAjDwWAgW7RO6MwOsXeuRFUiQgCU": _RFC,
    "J4EX_BRMcjQPZ9DyMW6Dhs7_vyskKMnFH-98WX8dQm4": _RFC,
    "7Bcrk61eVjv0kyxw4SRQNMNUZ-8u_U1k6_gZaDRn4r8": _RFC,
}


def published_in(key: PublicKey) -> str | None:
    """Return where the private half of ``key`` is published, or None if that is not known."""
    return _KEYS.get(key.text)
