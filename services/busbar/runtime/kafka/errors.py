"""Translation of the Kafka client's errors at the port of the bus."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import KafkaError

from busbar.runtime.core.bus import BusUnavailable


@contextmanager
def translated() -> Iterator[None]:
    """Raise :class:`BusUnavailable` for whatever the Kafka client raises in the block."""
    try:
        yield
    except BusUnavailable:
        raise
    except (KafkaError, OSError) as error:
        raise BusUnavailable(f"Kafka is unavailable ({type(error).__name__})") from error
