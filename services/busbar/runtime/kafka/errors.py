"""Translation of the Kafka client's errors to those of the bus."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RequestTimedOutError,
)

from busbar.runtime.core.bus import BusUnavailable


@contextmanager
def translated() -> Iterator[None]:
    """Raise :class:`BusUnavailable` for any error of the Kafka client in the block."""
    try:
        yield
    except BusUnavailable:
        raise
    except (KafkaError, OSError) as error:
        reason = _reason_of(error)
        raise BusUnavailable(f"Kafka is unavailable ({reason})", reason=reason) from error


def _reason_of(error: Exception) -> str:
    if isinstance(error, RequestTimedOutError | KafkaTimeoutError | TimeoutError):
        return "no answer"
    if isinstance(error, KafkaConnectionError | NodeNotReadyError):
        return "no connection"
    return type(error).__name__
