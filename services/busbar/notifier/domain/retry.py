"""Decides what follows an attempt: success, a retry, or giving up.

Follows "Delivery success and failure" of Standard Webhooks 1.0.0.
"""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final, Literal

from busbar.kernel.retry_after import retry_after_seconds

ErrorCode = Literal[
    "timeout",  # the whole attempt took too long
    "dns",
    "connection_refused",
    "unreachable",  # any other failure to connect
    "tls",
    "connection_lost",
    "bad_response",  # not HTTP
    "refused_url",  # the guard: scheme, user name, port, unusual spelling of an address
    "no_secret",  # the subscription's secret is missing; it may be stored again
    "refused_address",  # the guard: an address in a network that webhooks may not reach
]

GUARD_CODES: Final[frozenset[str]] = frozenset({"refused_url", "refused_address"})
"""Refusals by our own guard; a retry would be refused as well."""

THROTTLING: Final[frozenset[int]] = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Statuses whose ``Retry-After`` is honoured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The outcome of one attempt: either the receiver's ``status`` or our ``error``.

    ``retry_after`` is the header as received; ``detail`` is our own sentence and never quotes the
    receiver.
    """

    status: int | None = None
    error: ErrorCode | None = None
    retry_after: str | None = None
    detail: str = ""

    def __post_init__(self) -> None:
        if (self.status is None) == (self.error is None):
            raise ValueError("an attempt ends with a status or with an error: give one of them")

    @property
    def reason(self) -> str:
        """The outcome as a bounded code: ``status 503`` or ``timeout``."""
        return f"status {self.status}" if self.error is None else self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """The delays of retries. All times are in seconds.

    ``delays`` has one entry for each retry, so there are ``len(delays) + 1`` attempts. A delay is
    jittered by up to ``spread`` of itself either way. A receiver's ``Retry-After`` is a minimum,
    capped at ``retry_after_cap``.

    Raises:
        ValueError: a delay is negative or infinite, or the spread is not in [0, 1).
    """

    delays: tuple[float, ...] = (5, 30, 120, 600, 3600, 10_800, 21_600, 43_200)
    spread: float = 0.2
    retry_after_cap: float = 3600

    def __post_init__(self) -> None:
        if not all(0 <= delay < float("inf") for delay in (*self.delays, self.retry_after_cap)):
            raise ValueError("a retry policy has delays of zero or more seconds")
        if not 0 <= self.spread < 1:
            raise ValueError("the spread of a retry policy is a fraction from 0 to below 1")

    @property
    def max_attempts(self) -> int:
        """Maximum number of attempts per delivery."""
        return len(self.delays) + 1


DEFAULT_POLICY: Final = RetryPolicy()
"""Nine attempts over almost a day."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver accepted the webhook."""

    status: int


@dataclass(frozen=True, slots=True)
class RetryLater:
    """Another attempt follows after a delay in seconds."""

    after_seconds: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """No attempt follows; ``reason`` is the last outcome, as ``status 410`` or ``timeout``."""

    reason: str


def next_attempt(
    attempt: int,
    outcome: Attempt,
    *,
    jitter: float,
    now: datetime,
    policy: RetryPolicy = DEFAULT_POLICY,
) -> Delivered | RetryLater | GiveUp:
    """Decide what follows attempt number ``attempt`` (from 1), which ended at ``now``.

    ``jitter`` is a random number in [0, 1): 0 gives the shortest delay.

    Raises:
        ValueError: ``attempt`` or ``jitter`` is out of range.
    """
    if attempt < 1 or not 0 <= jitter < 1:
        raise ValueError("attempts count from 1 and jitter is at least 0 and below 1")
    if outcome.status is not None and _is_success(outcome.status):
        return Delivered(outcome.status)
    if outcome.status == HTTPStatus.GONE or outcome.error in GUARD_CODES:
        return GiveUp(outcome.reason)
    if attempt >= policy.max_attempts:
        return GiveUp(outcome.reason)
    delay = policy.delays[attempt - 1] * (1 + policy.spread * (2 * jitter - 1))
    return RetryLater(max(delay, _floor(outcome, now=now, cap=policy.retry_after_cap)))


def _is_success(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def _floor(outcome: Attempt, *, now: datetime, cap: float) -> float:
    if outcome.status not in THROTTLING or outcome.retry_after is None:
        return 0.0
    return min(retry_after_seconds(outcome.retry_after, now=now) or 0.0, cap)
