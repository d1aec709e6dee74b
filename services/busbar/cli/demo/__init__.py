"""``busbar demo``: six acts on a real broker, reported as they happen."""
