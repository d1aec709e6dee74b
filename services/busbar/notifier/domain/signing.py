"""Standard Webhooks 1.0.0, scheme ``v1``: HMAC-SHA256 over ``{id}.{timestamp}.{body}``.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
Written here because the published library is ``v1`` only for text bodies and shifts times that
are not in UTC (issue 251 there).
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence

from busbar.kernel.errors import Reject
from busbar.kernel.webhook_secret import PREFIX, check_key, parse_webhook_key

ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"

TOLERANCE_SECONDS = 300
"""Maximum difference to the receiver's clock; usual in libraries, as the spec has no number."""

_MAX_SIGNATURES = 16
# Printable ASCII without the full stop: a full stop in the id would make one signature valid for
# two messages, and other characters are not allowed in a header.
_ID = re.compile(r"[!-\-/-~]{1,255}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class Unverified(Reject):
    """The request is not authentic, or too old; ``code`` says which. A retry does not help."""


class WebhookSecret:
    """A signing key, never shown by ``repr``, ``str``, comparisons or errors."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        """Wrap the raw ``key``.

        Raises:
            ConfigurationError: the key does not have 24 to 64 bytes.
        """
        check_key(key)
        self._key = key

    @classmethod
    def parse(cls, text: str) -> "WebhookSecret":
        """Parse ``whsec_`` and base64, with or without padding; surrounding white space is ignored.

        Raises:
            ConfigurationError: ``text`` has another form; the error does not quote it.
        """
        return cls(parse_webhook_key(text))

    def reveal(self) -> str:
        """Return the secret as ``whsec_`` and base64, to show it to its owner once."""
        return PREFIX + b64encode(self._key).decode()

    def mac(self, content: bytes) -> bytes:
        """Return the HMAC-SHA256 of ``content`` under this secret."""
        return hmac.digest(self._key, content, "sha256")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, WebhookSecret) and hmac.compare_digest(self._key, other._key)

    def __hash__(self) -> int:
        return hash((WebhookSecret, self._key))

    def __repr__(self) -> str:
        return "WebhookSecret(**********)"


def sign(secret: WebhookSecret, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the signature ``v1,<base64>`` of one attempt; ``timestamp`` is in unix seconds.

    Raises:
        ValueError: the id contains a full stop or a character not allowed in a header.
    """
    if not _ID.fullmatch(webhook_id):
        raise ValueError(
            f"{webhook_id!r} cannot be a webhook id: use 1 to 255 printable ASCII characters "
            "without a full stop, such as a UUID"
        )
    content = f"{webhook_id}.{timestamp:d}.".encode() + body
    return "v1," + b64encode(secret.mac(content)).decode()


def headers(
    secrets: Sequence[WebhookSecret], webhook_id: str, timestamp: int, body: bytes
) -> dict[str, str]:
    """Return the three headers of one attempt, with a signature per secret for key rotation.

    Raises:
        ValueError: there is no secret, or :func:`sign` refuses the id.
    """
    if not secrets:
        raise ValueError("a webhook is signed with at least one secret, none was given")
    return {
        ID_HEADER: webhook_id,
        TIMESTAMP_HEADER: str(timestamp),
        SIGNATURE_HEADER: " ".join(sign(s, webhook_id, timestamp, body) for s in secrets),
    }


def verify(
    secrets: Sequence[WebhookSecret],
    received: Mapping[str, str],
    body: bytes,
    *,
    now: int,
    tolerance: int = TOLERANCE_SECONDS,
) -> str:
    """Verify a request's headers and raw body as a receiver does; return the webhook id.

    The comparison takes the same time whichever signature matches, if any.

    Raises:
        Unverified: a header is missing or malformed, the timestamp is more than ``tolerance``
            seconds from ``now`` (both unix seconds), or no signature is ours.
    """
    lower = {name.lower(): value for name, value in received.items()}
    missing = [
        name for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER) if not lower.get(name)
    ]
    if missing:
        raise Unverified("missing_header", f"the request lacks {' and '.join(missing)}")
    webhook_id, timestamp = lower[ID_HEADER], lower[TIMESTAMP_HEADER]
    if not _ID.fullmatch(webhook_id) or not _TIMESTAMP.fullmatch(timestamp):
        raise Unverified("bad_header", "the id or the timestamp is malformed")
    if abs(now - int(timestamp)) > tolerance:
        raise Unverified("stale", f"the timestamp is more than {tolerance} seconds from our clock")
    presented = lower[SIGNATURE_HEADER].split(" ", _MAX_SIGNATURES)[:_MAX_SIGNATURES]
    expected = [sign(secret, webhook_id, int(timestamp), body).encode() for secret in secrets]
    matches = [
        hmac.compare_digest(ours, theirs.encode(errors="backslashreplace"))
        for ours in expected
        for theirs in presented
    ]
    if not any(matches):
        raise Unverified("bad_signature", "no v1 signature was made with a secret we know")
    return webhook_id
