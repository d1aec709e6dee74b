"""``busbar demo``: eight acts on a real broker, reported as they happen."""
