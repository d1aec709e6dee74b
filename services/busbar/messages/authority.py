"""Principals with their rights and keys: one fold for identity and for the services that check."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from busbar.messages.base import Fact
from busbar.messages.identity import (
    KeyRegistered,
    KeyRevoked,
    Kind,
    PrincipalDeclared,
    PrincipalRemoved,
)
from busbar.messages.permissions import EVERY, MEMBER
from busbar.messages.topics import OWN_SOURCES


@dataclass(frozen=True, slots=True)
class Principal:
    """A person, service account, bot or service, with what it may do."""

    name: str
    kind: Kind
    teams: frozenset[str] = frozenset()
    sources: tuple[str, ...] = ()
    permissions: frozenset[str] = frozenset()

    def is_member(self, team: str) -> bool:
        """Return whether it is a member of ``team``."""
        return bool(self.teams & {team, EVERY})

    def may(self, permission: str, team: str | None) -> bool:
        """Return whether it has ``permission`` for ``team``; None is what belongs to no team."""
        if team is not None and not self.is_member(team):
            return False
        granted = self.permissions if team is None else self.permissions | MEMBER
        return bool(granted & {permission, EVERY})

    def covers(self, other: "Principal") -> bool:
        """Return whether it has every right of ``other``: who has a key of it has its rights.

        Services of the platform speak for others, so that only all rights cover them.
        """
        pairs = [(self.teams, other.teams), (self.permissions, other.permissions)]
        pairs.append((frozenset(self.sources), frozenset(other.sources)))
        if other.kind == "service":
            return all(EVERY in own for own, _ in pairs)
        return all(EVERY in own or theirs <= own for own, theirs in pairs)

    def owns(self, source: str) -> bool:
        """Return whether events with this ``source`` are its own.

        Sources of the platform belong to its services, whatever is declared.
        """
        if source.startswith(OWN_SOURCES):
            return self.kind == "service" and source == f"{OWN_SOURCES}{self.name}"
        return EVERY in self.sources or source in self.sources


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, the principal that signs with it, and why it is revoked, if it is.

    It is ``declared`` if the declaration of principals has it, not an intent.
    """

    id: str
    principal: str
    text: str
    declared: bool = False
    revoked: str | None = None


@dataclass(frozen=True, slots=True)
class Authority:
    """Every principal and every key at one position in the stream of identity facts.

    ``changes`` counts the facts that were folded: the position in the stream.
    """

    principals: Mapping[str, Principal] = field(default_factory=dict)
    keys: Mapping[str, Key] = field(default_factory=dict)
    changes: int = 0

    def keys_of(self, principal: str) -> list[Key]:
        """Return the keys of ``principal`` that are not revoked."""
        return [
            key for key in self.keys.values() if key.principal == principal and key.revoked is None
        ]

    def owner_of(self, source: str) -> Principal | None:
        """Return the principal that ``source`` was declared for by name, if any."""
        found = (one for one in self.principals.values() if source in one.sources)
        return next(found, None)


EMPTY: Final = Authority()
"""No principal is known."""


def evolve(known: Authority, fact: Fact) -> Authority:
    """Return ``known`` after ``fact``; facts about refusals change nothing."""
    after = _after(known, fact)
    return known if after is known else replace(after, changes=known.changes + 1)


def _after(known: Authority, fact: Fact) -> Authority:
    match fact:
        case PrincipalDeclared():
            principal = Principal(
                name=fact.principal,
                kind=fact.kind,
                teams=frozenset(fact.teams),
                sources=fact.sources,
                permissions=frozenset(fact.permissions),
            )
            return replace(known, principals={**known.principals, fact.principal: principal})
        case PrincipalRemoved():
            left = {name: one for name, one in known.principals.items() if name != fact.principal}
            return replace(known, principals=left)
        case KeyRegistered():
            key = Key(fact.key, fact.principal, fact.public_key, declared=fact.operation is None)
            return replace(known, keys={**known.keys, fact.key: key})
        case KeyRevoked():
            key = replace(known.keys[fact.key], revoked=fact.reason)
            return replace(known, keys={**known.keys, fact.key: key})
        case _:
            return known
