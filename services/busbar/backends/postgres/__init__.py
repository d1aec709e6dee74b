"""The adapter ``postgres-database``: databases in a PostgreSQL cluster other than busbar's own."""

from busbar.backends.postgres.backend import PostgresDatabaseBackend

__all__ = ["PostgresDatabaseBackend"]
