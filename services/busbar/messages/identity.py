"""The family ``identity``: principals, and the keys that they sign with.

All facts have one key, so that their order is total: a service that has folded one of them has
folded every earlier one.
"""

from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from busbar.kernel.personal_marks import MARK
from busbar.messages import permissions, topics
from busbar.messages.base import (
    EXAMPLE_INTENT,
    EXAMPLE_OPERATION,
    Fact,
    Intent,
    IntentRef,
    JsonObject,
    Slug,
)

Kind = Literal["person", "service-account", "bot", "service"]

KeyId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""The first 32 hexadecimal digits of the SHA-256 of the public key."""

PublicKeyText = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{43}$")]
"""A raw Ed25519 public key in base64url without padding."""

ORDER: Final = "identity"
"""The key of every fact of this family."""

_PUBLIC = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
_SUBJECT = "subject:6f1c0ad5c9d14be2a7d0f4c3b2a19587"
EXAMPLE_KEY: Final = "21fe31dfa154a261626bf854046fd227"


class RegisterKey(Intent):
    """Let a principal sign with one more key."""

    TYPE: ClassVar[str] = "busbar.identity.register-key.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_IDENTITY
    PERMISSION: ClassVar[str] = permissions.KEY_WRITE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {"principal": "payments-ci", "public_key": _PUBLIC},
    )

    principal: Slug
    public_key: PublicKeyText


class RevokeKey(Intent):
    """Refuse everything that is signed with a key from now on."""

    TYPE: ClassVar[str] = "busbar.identity.revoke-key.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_IDENTITY
    PERMISSION: ClassVar[str] = permissions.KEY_WRITE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {"key": EXAMPLE_KEY, "reason": "the laptop was lost"},
    )

    key: KeyId
    reason: str = Field(min_length=1, max_length=200)


class EraseSubject(Intent):
    """Make the personal data of one person unreadable everywhere, for good."""

    TYPE: ClassVar[str] = "busbar.identity.erase-subject.v1"
    TOPIC: ClassVar[str] = topics.INTENTS_IDENTITY
    PERMISSION: ClassVar[str] = permissions.SUBJECT_ERASE
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = ({"subject": _SUBJECT},)

    subject: str = Field(
        min_length=1,
        max_length=320,
        json_schema_extra={MARK: True},
        description="The text that names the person, as in the specs. It is replaced by the "
        "person's pseudonym, `subject:` and 32 hexadecimal digits, before anything is stored.",
    )


class PrincipalDeclared(Fact):
    """A principal is known, with these rights; it replaces what was declared before."""

    TYPE: ClassVar[str] = "busbar.identity.principal-declared.v1"
    TOPIC: ClassVar[str] = topics.FACTS_IDENTITY
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            "principal": "payments-ci",
            "kind": "service-account",
            "teams": ["payments"],
            "sources": ["urn:team:payments"],
            "permissions": ["resource:release"],
        },
    )

    principal: Slug
    kind: Kind
    teams: tuple[str, ...] = Field(description="`*` is every team.")
    sources: tuple[str, ...] = Field(
        description="The CloudEvents sources that are this principal's alone; `*` is every one."
    )
    permissions: tuple[str, ...] = Field(
        description="What it may do besides what every member of a team may; `*` is everything."
    )


class PrincipalRemoved(Fact):
    """A principal is not known any more; neither are its keys."""

    TYPE: ClassVar[str] = "busbar.identity.principal-removed.v1"
    TOPIC: ClassVar[str] = topics.FACTS_IDENTITY
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = ({"principal": "payments-ci"},)

    principal: Slug


class KeyRegistered(Fact):
    """A principal signs with this key. Public keys are kept, to verify the past."""

    TYPE: ClassVar[str] = "busbar.identity.key-registered.v1"
    TOPIC: ClassVar[str] = topics.FACTS_IDENTITY
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            "key": EXAMPLE_KEY,
            "principal": "payments-ci",
            "public_key": _PUBLIC,
            "operation": EXAMPLE_OPERATION,
            "intent": {**EXAMPLE_INTENT, "type": "busbar.identity.register-key.v1"},
        },
    )

    key: KeyId
    principal: Slug
    public_key: PublicKeyText
    operation: UUID | None = Field(
        default=None, description="Null if the declaration of principals has the key."
    )
    intent: IntentRef | None = None


class KeyRevoked(Fact):
    """A key is revoked: its signatures are refused from this place in the log on."""

    TYPE: ClassVar[str] = "busbar.identity.key-revoked.v1"
    TOPIC: ClassVar[str] = topics.FACTS_IDENTITY
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            "key": EXAMPLE_KEY,
            "principal": "payments-ci",
            "reason": "the laptop was lost",
            "operation": EXAMPLE_OPERATION,
            "intent": {**EXAMPLE_INTENT, "type": "busbar.identity.revoke-key.v1"},
        },
    )

    key: KeyId
    principal: Slug
    reason: str
    operation: UUID | None = None
    intent: IntentRef | None = None


class KeyRefused(Fact):
    """A request about a key was refused; nothing changed."""

    TYPE: ClassVar[str] = "busbar.identity.key-refused.v1"
    TOPIC: ClassVar[str] = topics.FACTS_IDENTITY
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            "operation": EXAMPLE_OPERATION,
            "intent": {**EXAMPLE_INTENT, "type": "busbar.identity.register-key.v1"},
            "reason": "unknown_principal",
            "detail": "there is no principal called payments-cy",
            "fix": "did you mean 'payments-ci'? declare it in principals.yaml first",
        },
    )

    operation: UUID
    intent: IntentRef
    reason: str
    detail: str
    fix: str


class SubjectErased(Fact):
    """The key of a person's data is destroyed: every copy of the data is unreadable."""

    TYPE: ClassVar[str] = "busbar.identity.subject-erased.v1"
    TOPIC: ClassVar[str] = topics.FACTS_IDENTITY
    EXAMPLES: ClassVar[tuple[JsonObject, ...]] = (
        {
            "subject": _SUBJECT,
            "existed": True,
            "operation": EXAMPLE_OPERATION,
            "intent": {**EXAMPLE_INTENT, "type": "busbar.identity.erase-subject.v1"},
        },
    )

    subject: str = Field(description="The pseudonym of the person.")
    existed: bool = Field(description="False if there was no data about this person.")
    operation: UUID
    intent: IntentRef


IdentityFact = PrincipalDeclared | PrincipalRemoved | KeyRegistered | KeyRevoked
"""The facts that change who may do what."""
