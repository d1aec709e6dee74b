"""Principals with their keys, as clients read them: folded from the facts of identity."""

from pydantic import Field

from busbar.messages.authority import Principal
from busbar.messages.base import Part
from busbar.messages.identity import (
    IdentityFact,
    KeyRegistered,
    KeyRevoked,
    Kind,
    PrincipalDeclared,
    PrincipalRemoved,
)


class KeyView(Part):
    """A public key of a principal."""

    key: str = Field(description="Its id.")
    public_key: str = Field(description="Raw Ed25519, in base64url without padding.")
    registered: str = Field(description="When it was registered.")
    revoked: str | None = Field(default=None, description="When it was revoked.")
    reason: str | None = Field(default=None, description="Why it was revoked.")


class PrincipalView(Part):
    """A person, service account, bot or service that may ask the platform for something."""

    principal: str
    kind: Kind
    teams: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    keys: tuple[KeyView, ...] = ()
    declared: bool = Field(default=True, description="False if it was removed.")

    @property
    def rights(self) -> Principal:
        """The principal with what it may do."""
        return Principal(
            name=self.principal,
            kind=self.kind,
            teams=frozenset(self.teams),
            sources=self.sources,
            permissions=frozenset(self.permissions),
        )


def evolve_principal(
    view: PrincipalView | None, fact: IdentityFact, *, time: str
) -> PrincipalView | None:
    """Return the principal's view after ``fact``, which was recorded at ``time``."""
    if isinstance(fact, PrincipalDeclared):
        return PrincipalView(
            principal=fact.principal,
            kind=fact.kind,
            teams=fact.teams,
            sources=fact.sources,
            permissions=fact.permissions,
            keys=view.keys if view is not None else (),
        )
    if view is None:
        return None
    match fact:
        case PrincipalRemoved():
            return view.model_copy(update={"declared": False})
        case KeyRegistered():
            new = KeyView(key=fact.key, public_key=fact.public_key, registered=time)
            others = tuple(one for one in view.keys if one.key != fact.key)
            return view.model_copy(update={"keys": (*others, new)})
        case KeyRevoked():
            revoked = {"revoked": time, "reason": fact.reason}
            keys = tuple(
                one.model_copy(update=revoked) if one.key == fact.key else one for one in view.keys
            )
            return view.model_copy(update={"keys": keys})
