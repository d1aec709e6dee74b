"""The platform in two copies on PostgreSQL: its own package, so that it is stopped with it."""
