"""Open and migrate stores on PostgreSQL and SQLite."""
