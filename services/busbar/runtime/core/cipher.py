"""Authenticated encryption by AES-256-GCM, with a key from the environment or a 0600 file."""

import base64
import hashlib
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from busbar.kernel.data_key import KEY_BYTES, parse_data_key
from busbar.kernel.errors import ConfigurationError
from busbar.runtime.core.private_file import ensure_private_file

_NONCE = 12
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
    if key is not None:
        return read_cipher(key, "BUSBAR_DATA_KEY")
    path = home / "data.key"
    fresh = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    return read_cipher(SecretStr(ensure_private_file(path, fresh)), f"The data key in {path}")


def read_cipher(key: SecretStr, place: str = "The data key") -> Cipher:
    """Return the cipher of ``key``, which is 32 bytes in base64; ``place`` is where it is from.

    Raises:
        ConfigurationError: it is not; the message does not quote it.
    """
    return Cipher(parse_data_key(key.get_secret_value(), place))
