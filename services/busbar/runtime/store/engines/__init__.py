"""Opening and migrating a store on PostgreSQL and on SQLite."""
