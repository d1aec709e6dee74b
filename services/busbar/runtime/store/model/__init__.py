"""Values that the parts of the store exchange."""
