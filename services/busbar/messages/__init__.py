"""Every intent and fact, and the envelope they travel in. Pure: no I/O, no clock."""
