"""SCRAM-SHA-256 verifiers (RFC 5802, 7677), so that a server never sees the password.

PostgreSQL accepts a verifier in place of a password and stores it unchanged. Format:
``rolpassword`` in https://www.postgresql.org/docs/current/catalog-pg-authid.html.
"""

import base64
import hashlib
import hmac
from typing import Final

ITERATIONS: Final = 4096
"""PostgreSQL's default. Our passwords are random: more would only slow down every login."""


def verifier(password: str, *, salt: bytes, iterations: int = ITERATIONS) -> str:
    """Return the verifier of ``password``, which has to be ASCII (SASLprep is not applied)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    stored_key = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return f"SCRAM-SHA-256${iterations}:{_b64(salt)}${_b64(stored_key)}:{_b64(server_key)}"


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
