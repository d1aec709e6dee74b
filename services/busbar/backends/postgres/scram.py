"""SCRAM-SHA-256 verifiers, made here so that a server never sees the password (RFC 5802, 7677).

PostgreSQL takes a verifier in place of a password and stores it as it is. Format: ``rolpassword``
in https://www.postgresql.org/docs/current/catalog-pg-authid.html.
"""

import base64
import hashlib
import hmac
from typing import Final

ITERATIONS: Final = 4096
"""PostgreSQL's own number. Our passwords are random: more would only slow down every login."""


def verifier(password: str, *, salt: bytes, iterations: int = ITERATIONS) -> str:
    """What the server keeps in place of ``password``, which has to be ASCII (no SASLprep here)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${iterations}:{_b64(salt)}${_b64(stored_key)}:{_b64(server_key)}"


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
