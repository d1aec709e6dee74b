"""busbar: an event-driven platform API on Apache Kafka."""

__version__ = "0.1.0"
