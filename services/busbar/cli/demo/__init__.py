"""`busbar demo`: six acts on a real broker, told as they happen."""
