"""SQL statements and what differs between the databases."""
