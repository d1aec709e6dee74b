"""Adapters to the outside world: one port (``port.py``), one file each, one conformance suite."""
