"""Publishing what the store holds: the relay and the envelopes of stored events."""
