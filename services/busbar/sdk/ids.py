"""Ids for events that their producer gives none.

``source`` + ``id`` identify an intent permanently: the same pair again is the same intent. A
producer that may repeat itself, such as a job that runs again, should give an id or a key.
"""

import secrets
from typing import Any
from uuid import uuid5

from busbar.kernel.canonical import canonical_json, digest
from busbar.kernel.ids import NAMESPACE

_DIGEST_DIGITS = 12


def derived_id(key: str, type_: str, data: Any) -> str:
    """Return a deterministic id: the UUIDv5 of key, type and content.

    The same content with the same key is the same intent, however often it is sent; other
    content with the same key is another intent.
    """
    return str(uuid5(NAMESPACE, canonical_json(["sdk", key, type_, data]).decode()))


def fresh_id(type_: str, data: Any) -> str:
    """Return a unique id: a digest of the content (for people) and 8 random bytes.

    This is the only place where the SDK uses randomness.
    """
    content = digest([type_, data]).removeprefix("sha256:")[:_DIGEST_DIGITS]
    return f"{content}-{secrets.token_hex(8)}"
