"""The pure part of identity: the declaration of principals, and the decisions about keys."""

from busbar.identity.domain.declaration import (
    PrincipalEntry,
    PrincipalsFile,
    declare,
    problems_in,
)
from busbar.identity.domain.keys import decide_register, decide_revoke, revoked_heads

__all__ = [
    "PrincipalEntry",
    "PrincipalsFile",
    "decide_register",
    "decide_revoke",
    "declare",
    "problems_in",
    "revoked_heads",
]
