"""Policy: judges every intent and records the verdict."""
