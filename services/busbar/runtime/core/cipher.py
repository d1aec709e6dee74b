"""Authenticated encryption by AES-256-GCM, with a key from the environment or a 0600 file."""

import base64
import binascii
import hashlib
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from busbar.kernel.errors import ConfigurationError

_NONCE = 12
_KEY = 32
_KEY_ID_DIGITS = 12


class Cipher:
    """Encrypts and decrypts bytes with a 32-byte key.

    The output is nonce (12 bytes), then ciphertext and tag.
    """

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self.key_id = hashlib.sha256(b"busbar:v1:data-key:" + key).hexdigest()[:_KEY_ID_DIGITS]
        """Identifies the key beside ciphertext; a digest of 256 random bits does not reveal it."""

    def encrypt(self, plain: bytes, *, context: str) -> bytes:
        """Encrypt ``plain``; it decrypts only under the same ``context``."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._aead.encrypt(nonce, plain, context.encode())

    def decrypt(self, sealed: bytes, *, context: str) -> bytes:
        """Decrypt the output of :meth:`encrypt`.

        Raises:
            ConfigurationError: it was encrypted with another key or context, or was changed.
        """
        try:
            return self._aead.decrypt(sealed[:_NONCE], sealed[_NONCE:], context.encode())
        except (InvalidTag, ValueError) as error:  # ValueError: too short for a nonce
            raise ConfigurationError(
                "A sealed record cannot be decrypted with this data key.",
                fix="Give the key it was sealed with in BUSBAR_DATA_KEY or <home>/data.key.",
            ) from error


def load_cipher(home: Path, key: SecretStr | None) -> Cipher:
    """Return the cipher of this installation; create ``<home>/data.key`` on first use.

    Raises:
        ConfigurationError: the key is not 32 bytes of base64, or its file is readable by others.
    """
    if key is None:
        key = SecretStr(private_file(home / "data.key", secrets.token_bytes(_KEY)))
    return read_cipher(key)


def read_cipher(key: SecretStr) -> Cipher:
    """Return the cipher of ``key``, which is 32 bytes in base64.

    Raises:
        ConfigurationError: it is not; the message does not quote it.
    """
    try:
        raw = base64.b64decode(key.get_secret_value().strip(), validate=True)
    except binascii.Error:
        raw = b""
    if len(raw) != _KEY:
        raise ConfigurationError(
            "The data key is not 32 bytes of base64.",
            fix="Make one with: head -c 32 /dev/urandom | base64",
        )
    return Cipher(raw)


def private_file(path: Path, fresh: bytes) -> str:
    """Return the text of the 0600 file at ``path``, created with ``fresh`` as base64 if missing.

    Raises:
        ConfigurationError: the file can be read by others.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Written to a draft and linked into place: services that start concurrently agree on one key.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    if not path.exists():
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(fresh) + b"\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(f"{path} can be read by others.", fix=f"Run: chmod 600 {path}")
    return path.read_text(encoding="ascii").strip()
