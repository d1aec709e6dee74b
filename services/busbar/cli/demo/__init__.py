"""``busbar demo``: seven acts on a real broker, reported as they happen."""
