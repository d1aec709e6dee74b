"""The file that declares principals (``principals/v1``), and what changes when it is read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from busbar.kernel.suggest import did_you_mean, listed
from busbar.messages import permissions
from busbar.messages.authority import Authority, Key, Principal
from busbar.messages.base import Slug
from busbar.messages.codec.uri import is_reference
from busbar.messages.identity import (
    IdentityFact,
    KeyRegistered,
    KeyRevoked,
    Kind,
    PrincipalDeclared,
    PrincipalRemoved,
)
from busbar.messages.signing import InvalidKey, PublicKey, published_in
from busbar.messages.topics import OWN_SOURCES, SERVICES

REMOVED: Final = "it is not declared any more"


class PrincipalEntry(BaseModel):
    """One principal as it is declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Slug
    kind: Kind
    teams: tuple[Slug | Literal["*"], ...] = ()
    sources: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    @property
    def principal(self) -> Principal:
        """The principal with its rights, without its keys."""
        return Principal(
            name=self.name,
            kind=self.kind,
            teams=frozenset(self.teams),
            sources=self.sources,
            permissions=frozenset(self.permissions),
        )


class PrincipalsFile(BaseModel):
    """The whole file. ``busbar`` marks the format."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    busbar: Literal["principals/v1"]
    principals: tuple[PrincipalEntry, ...] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong at one place of the file, and what to do about it."""

    place: tuple[str | int, ...]
    problem: str
    fix: str


def problems_in(file: PrincipalsFile) -> list[Problem]:
    """Return what is wrong with ``file`` besides the form of its fields."""
    found: list[Problem] = []
    names: dict[str, str] = {}
    sources: dict[str, str] = {}
    keys: dict[str, str] = {}
    for index, entry in enumerate(file.principals):
        at = ("principals", index)
        found += _taken(names, entry.name, entry.name, (*at, "name"), "the principal")
        if entry.kind == "service" and entry.name not in SERVICES:
            found.append(
                Problem(
                    (*at, "name"),
                    f"there is no service {entry.name}",
                    did_you_mean(entry.name, SERVICES, otherwise="the kind bot is for programs"),
                )
            )
        for number, source in enumerate(entry.sources):
            place = (*at, "sources", number)
            found += [*_bad_source(source, place)]
            if source != permissions.EVERY:
                found += _taken(sources, source, entry.name, place, "the source")
        for number, permission in enumerate(entry.permissions):
            found += [*_unknown_permission(permission, (*at, "permissions", number))]
        for number, text in enumerate(entry.keys):
            place = (*at, "keys", number)
            found += [*_bad_key(text, place)]
            found += _taken(keys, text, entry.name, place, "the key")
    return found


def _taken(
    known: dict[str, str], value: str, owner: str, place: tuple[str | int, ...], what: str
) -> list[Problem]:
    """Note that ``owner`` has ``value``; return the problem if it was there before."""
    if value not in known:
        known[value] = owner
        return []
    fix = "remove one of them"
    if known[value] != owner:
        fix = f"it belongs to {known[value]}: one principal alone has it"
    return [Problem(place, f"{what} {value} is there twice", fix)]


def _bad_source(source: str, place: tuple[str | int, ...]) -> Iterator[Problem]:
    if source.startswith(OWN_SOURCES):
        yield Problem(
            place,
            f"sources that start with {OWN_SOURCES} belong to the platform's services",
            "leave it out: a service has its own source without declaration",
        )
    elif source != permissions.EVERY and not is_reference(source):
        yield Problem(
            place, f"{source!r} is not a URI reference", "write it as in urn:team:payments"
        )


def _unknown_permission(permission: str, place: tuple[str | int, ...]) -> Iterator[Problem]:
    if permission not in {*permissions.ALL, permissions.EVERY}:
        known = f"known are: {listed(permissions.ALL)}, and * for all of them"
        yield Problem(
            place,
            f"there is no permission {permission}",
            did_you_mean(permission, permissions.ALL, otherwise=known),
        )


def _bad_key(text: str, place: tuple[str | int, ...]) -> Iterator[Problem]:
    try:
        public = PublicKey.parse(text)
    except InvalidKey as error:
        yield Problem(place, str(error).rstrip("."), "`busbar keys create` prints a public key")
        return
    if (where := published_in(public)) is not None:
        problem = f"the private half of the key {public.id} is published ({where})"
        yield Problem(place, problem, "everybody can sign with it: `busbar keys create` makes one")


def declare(known: Authority, file: PrincipalsFile) -> list[IdentityFact]:
    """Return what changes when ``file`` is read: nothing if it is as it was.

    Keys that came by an intent stay; those that only the file had are revoked when they are gone
    from it, and so are all keys of a principal that is removed. A key that was revoked stays so.
    """
    declared = {entry.name: entry for entry in file.principals}
    facts: list[IdentityFact] = []
    for name in known.principals.keys() - declared.keys():
        facts += [_revoked(key) for key in known.keys_of(name)]
        facts.append(PrincipalRemoved(principal=name))
    for entry in file.principals:
        if known.principals.get(entry.name) != entry.principal:
            facts.append(_declared(entry))
        facts += _keys(known, entry)
    return sorted(facts, key=_order)


def _order(fact: IdentityFact) -> tuple[int, str]:
    """Revoke first, so that no key is valid for longer than it should be."""
    kinds = (KeyRevoked, PrincipalRemoved, PrincipalDeclared, KeyRegistered)
    return kinds.index(type(fact)), fact.principal


def _keys(known: Authority, entry: PrincipalEntry) -> Iterator[IdentityFact]:
    public = {PublicKey.parse(text).id: text for text in entry.keys}
    for key in known.keys_of(entry.name):
        if key.declared and key.id not in public:
            yield _revoked(key)
    for id_, text in public.items():
        if id_ not in known.keys:
            yield KeyRegistered(key=id_, principal=entry.name, public_key=text)


def _declared(entry: PrincipalEntry) -> PrincipalDeclared:
    return PrincipalDeclared(
        principal=entry.name,
        kind=entry.kind,
        teams=entry.teams,
        sources=entry.sources,
        permissions=entry.permissions,
    )


def _revoked(key: Key) -> KeyRevoked:
    return KeyRevoked(key=key.id, principal=key.principal, reason=REMOVED)
