"""One file a step, as in the store."""
