"""Translation of the Kafka client's errors to those of the bus."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import KafkaError

from busbar.runtime.core.bus import BusUnavailable


@contextmanager
def translated() -> Iterator[None]:
    """Raise :class:`BusUnavailable` for any error of the Kafka client in the block."""
    try:
        yield
    except BusUnavailable:
        raise
    except (KafkaError, OSError) as error:
        raise BusUnavailable(f"Kafka is unavailable ({type(error).__name__})") from error
