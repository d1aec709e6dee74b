"""SQL statements and the dialects of the databases."""
