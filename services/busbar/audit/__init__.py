"""Audit: a complete copy of everything on the bus, and the proof that it is complete."""
