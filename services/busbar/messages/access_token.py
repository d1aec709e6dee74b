"""The tokens with which principals authenticate over HTTP: JWTs that they sign with their key.

One form, and no other: a JWS in compact form (RFC 7515) with the header ``alg``, ``kid`` and
``typ``, and the claims ``aud``, ``exp``, ``iat`` and ``sub`` (RFC 7519). ``kid`` is the id of the
key, ``sub`` the name of its principal. A token is valid for ten minutes at most, so that one that
leaks is soon worthless.
"""

import base64
import json
from collections.abc import Mapping
from typing import Final

from busbar.messages.signing import SigningKey

ALGORITHM: Final = "EdDSA"
"""RFC 8037, with Ed25519: a key of this platform has no other use."""

TYPE: Final = "JWT"
AUDIENCE: Final = "busbar"
MAX_SECONDS: Final = 600
"""The longest time between ``iat`` and ``exp``."""

HEADER: Final = frozenset({"alg", "kid", "typ"})
CLAIMS: Final = frozenset({"aud", "exp", "iat", "sub"})


def sign_token(principal: str, key: SigningKey, *, issued: int, seconds: int = MAX_SECONDS) -> str:
    """Return a token of ``principal``, valid for ``seconds`` from ``issued`` (since 1970) on."""
    header = {"alg": ALGORITHM, "kid": key.public.id, "typ": TYPE}
    times = {"exp": issued + seconds, "iat": issued}
    claims: dict[str, str | int] = {"aud": AUDIENCE, **times, "sub": principal}
    signed = b".".join((_json(header), _json(claims)))
    return b".".join((signed, encode(key.sign(signed)))).decode()


def encode(raw: bytes) -> bytes:
    """Return ``raw`` in base64url without padding (RFC 7515, appendix C)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _json(members: Mapping[str, str | int]) -> bytes:
    return encode(json.dumps(members, separators=(",", ":")).encode())
