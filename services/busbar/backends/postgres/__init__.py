"""The adapter ``postgres-database``: databases in a PostgreSQL cluster apart from busbar's own."""

from busbar.backends.postgres.backend import PostgresDatabaseBackend

__all__ = ["PostgresDatabaseBackend"]
