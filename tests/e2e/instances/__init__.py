"""The platform in two instances on PostgreSQL: its own package, so that it is stopped with it."""
