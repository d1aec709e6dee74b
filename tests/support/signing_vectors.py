"""The records and keys of ``contracts/signing-vectors.json``, and what the product says to them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from busbar.messages.signing import BadSignature, InvalidKey, PublicKey, signature_of, verify

PATH: Final = Path(__file__).parents[2] / "contracts" / "signing-vectors.json"
ACCEPTED: Final = "accepted"
INVALID_KEY: Final = "invalid_key"


@dataclass(frozen=True, slots=True)
class Vector:
    """A record, the key that it is verified with, and the outcome that is wanted."""

    name: str
    public_key: str
    topic: str
    key: bytes | None
    headers: list[tuple[str, bytes | None]]
    value: bytes | None
    wanted: str
    signed_bytes: bytes | None

    @property
    def outcome(self) -> str:
        """The product's own outcome."""
        try:
            verify(
                PublicKey.parse(self.public_key),
                signature_of(self.headers),
                topic=self.topic,
                record_key=self.key,
                headers=self.headers,
                value=self.value,
            )
        except InvalidKey:
            return INVALID_KEY
        except BadSignature as error:
            return error.code
        return ACCEPTED


def document() -> dict[str, Any]:
    """Return the file."""
    loaded: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    return loaded


def vectors() -> list[Vector]:
    """Return every record of the file."""
    records = document()["records"]
    return [_vector(one) for one in (*records["accepted"], *records["refused"])]


def seed(name: str) -> bytes:
    """Return the private key ``name``."""
    return bytes.fromhex(document()["test_keys"][name]["seed"])


def _vector(one: Mapping[str, Any]) -> Vector:
    return Vector(
        name=one["name"],
        public_key=one["public_key"],
        topic=one["topic"],
        key=_raw(one["key"]),
        headers=[(name, _raw(value)) for name, value in one["headers"]],
        value=_raw(one["value"]),
        wanted=one.get("refusal", ACCEPTED),
        signed_bytes=_raw(one.get("signed_bytes")),
    )


def _raw(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)
