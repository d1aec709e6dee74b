"""The platform with a collector: its own package, so that it is stopped with it."""
