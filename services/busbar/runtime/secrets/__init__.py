"""Secrets by reference (``secret:<name>``), encrypted, in a table apart from every event store."""

from busbar.runtime.secrets.kinds import SecretKind
from busbar.runtime.secrets.names import PREFIX, reference_to
from busbar.runtime.secrets.open import secrets_of
from busbar.runtime.secrets.store import Secret, SecretEntry, SecretStore

__all__ = [
    "PREFIX",
    "Secret",
    "SecretEntry",
    "SecretKind",
    "SecretStore",
    "reference_to",
    "secrets_of",
]
