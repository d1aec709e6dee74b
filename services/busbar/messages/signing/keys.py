"""Ed25519 keys (RFC 8032): the private half in a PKCS #8 PEM file, the public half in events."""

import base64
import hashlib
import re
from functools import cached_property
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from busbar.messages.signing.curve import weakness_of

KEY_BYTES: Final = 32
_KEY_CHARS: Final = 43
_ID_DIGITS: Final = 32
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
"""The base64url of 32 bytes; the last two bits of 43 digits are not used, so they have to be 0."""

_BEGIN: Final = "-----BEGIN"
_MAKE: Final = "openssl genpkey -algorithm ed25519"


class InvalidKey(ValueError):
    """It is not a usable Ed25519 key; the message is a sentence that does not quote the key."""


class PublicKey:
    """The public half of a key.

    ``id`` is the first 32 hexadecimal digits of the SHA-256 of the raw key, so that an id can
    belong to one key only. ``text`` is the raw key in base64url, like ``x`` in a JWK (RFC 8037).
    """

    def __init__(self, raw: bytes) -> None:
        """Take the 32 bytes of a key.

        Raises:
            InvalidKey: they are not a point of the curve, or one of small order.
        """
        if len(raw) != KEY_BYTES:
            raise InvalidKey(f"An Ed25519 key has {KEY_BYTES} bytes; this one has {len(raw)}.")
        if (weakness := weakness_of(raw)) is not None:
            raise InvalidKey(f"The public key {weakness}; make another key with {_MAKE}.")
        self.raw: Final = raw
        self.id: Final = hashlib.sha256(raw).hexdigest()[:_ID_DIGITS]
        self.text: Final = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    @classmethod
    def parse(cls, text: str) -> "PublicKey":
        """Return the key with this :attr:`text`.

        Raises:
            InvalidKey: it is not the text of a key.
        """
        if not _FORM.fullmatch(text):
            raise InvalidKey(
                f"A public key is {_KEY_CHARS} characters of base64url without padding."
            )
        return cls(base64.urlsafe_b64decode(f"{text}="))

    @cached_property
    def _verifier(self) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(self.raw)

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Return whether ``signature`` is this key's signature of ``message``."""
        try:
            self._verifier.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and other.raw == self.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __reduce__(self) -> tuple[type["PublicKey"], tuple[bytes]]:
        return type(self), (self.raw,)

    def __repr__(self) -> str:
        return f"PublicKey({self.id})"


class SigningKey:
    """A private key. Its repr, and every error about it, shows the id of the public half only."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public: Final = PublicKey(key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> "SigningKey":
        """Return a new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: str) -> "SigningKey":
        """Return the key in a PKCS #8 PEM file, as `openssl genpkey -algorithm ed25519` writes it.

        Raises:
            InvalidKey: it is not one, or it is encrypted.
        """
        key = None
        try:
            key = serialization.load_pem_private_key(pem.encode(), password=None)
        except TypeError:
            problem = "is encrypted; decrypt it first, as with openssl pkey"
        except (ValueError, UnsupportedAlgorithm):
            problem = f"is not a private key in PEM; make one with {_MAKE}"
        else:
            problem = f"is not an Ed25519 key; make one with {_MAKE}"
        if pem.count(_BEGIN) > 1:
            key, problem = None, "has several parts; keep the private key only"
        # Outside of the handlers, so that no traceback can show parts of the file.
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidKey(f"The key file {problem}.")
        return cls(key)

    @property
    def pem(self) -> str:
        """The key as PKCS #8 PEM, unencrypted."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode()

    def sign(self, message: bytes) -> bytes:
        """Return the signature of ``message``, 64 bytes."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey({self.public.id})"
