"""The principal of an intent: verified by its signature, bound to its source, with its rights."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from uuid import UUID

from busbar.kernel.suggest import did_you_mean, listed
from busbar.kernel.text import truncate
from busbar.messages.authority import Authority, Key, Principal
from busbar.messages.base import Fact, Intent, IntentRef
from busbar.messages.caller import Caller
from busbar.messages.envelope import Envelope
from busbar.messages.identity import Kind, RegisterKey, RevokeKey
from busbar.messages.permissions import EVERY
from busbar.messages.policy import DenialReason, IntentDenied, Violation
from busbar.messages.signing import BadSignature, InvalidKey, PublicKey, Signature, verify
from busbar.messages.signing.signature import Headers, signature_of
from busbar.messages.topics import FORWARDING_RELAYS, OWN_SOURCES

RELAYED_FOR: Final = "authid"
"""The attribute in which the gateway names the principal that it has authenticated."""

AUTHTYPES: Final[Mapping[Kind, str]] = {
    "person": "user",
    "service-account": "service_account",
    "bot": "service_account",
    "service": "service_account",
}
"""The ``authtype`` of each kind of principal, as the CloudEvents Auth Context extension has it."""

_AGAIN: Final = "then send the intent again"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedRecord:
    """The parts of a record that a signature covers, and the event in it."""

    topic: str
    key: bytes | None
    headers: Headers
    value: bytes | None
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Unverified:
    """The reason why nothing is done for a record: it is not known who sent it."""

    reason: DenialReason
    problem: str
    fix: str


def identify(
    known: Authority, record: SignedRecord, *, accepts_unsigned: bool
) -> Caller | Unverified:
    """Return the principal that has signed ``record`` and may use its source.

    With ``accepts_unsigned``, for development, an event without a signature has no principal and
    every right; a signature that is there is verified all the same.
    """
    try:
        signature = signature_of(record.headers)
        found = _key_of(known, signature)
        if isinstance(found, Unverified):
            return found
        verify(
            _public_key(found.text),
            signature,
            topic=record.topic,
            record_key=record.key,
            headers=record.headers,
            value=record.value,
        )
    except InvalidKey:
        return _UNUSABLE  # identity registers no such key
    except BadSignature as error:
        if error.code == "unsigned" and accepts_unsigned:
            return _unsigned(known, record.envelope)
        return Unverified(_REASONS[error.code], *_split(error.detail))
    return _bound(known, record.envelope, found)


_UNUSABLE: Final = Unverified(
    "forged",
    "the key that it names proves nothing",
    f"sign with another key of the principal, {_AGAIN}",
)


@lru_cache(maxsize=1024)
def _public_key(text: str) -> PublicKey:
    """Return the key with this text; checking its point takes longer than verifying with it."""
    return PublicKey.parse(text)


_REASONS: Final[dict[str, DenialReason]] = {
    "unsigned": "unsigned",
    "malformed": "malformed",
    "forged": "forged",
}


def _split(detail: str) -> tuple[str, str]:
    """Return what is wrong and what to do about it, which a semicolon separates."""
    problem, _, fix = detail.rstrip(".").partition("; ")
    return problem, fix or "sign it as docs/signing.md says"


def _unsigned(known: Authority, envelope: Envelope) -> Caller | Unverified:
    if envelope.source.startswith(OWN_SOURCES):
        return _foreign(envelope.source, "an unsigned event")
    return Caller(principal=None, verified="unsigned", position=known.changes)


def _key_of(known: Authority, signature: Signature) -> Key | Unverified:
    key = known.keys.get(signature.key_id)
    if key is None:
        return Unverified(
            "unknown_key",
            f"there is no key {signature.key_id}",
            f"register it, wait until `busbar keys list` shows it, {_AGAIN}",
        )
    if key.revoked is not None:
        return Unverified(
            "revoked_key",
            f"the key {key.id} of {key.principal} is revoked: {key.revoked}",
            f"sign with another key of {key.principal}, {_AGAIN}",
        )
    return key


def _bound(known: Authority, envelope: Envelope, key: Key) -> Caller | Unverified:
    """Return the principal behind ``key``, if the source of the event is its own."""
    signer = known.principals.get(key.principal)
    is_relayed = (
        signer is not None
        and signer.kind == "service"
        and signer.name in FORWARDING_RELAYS
        and not envelope.source.startswith(OWN_SOURCES)
    )
    name = envelope.extensions.get(RELAYED_FOR, "") if is_relayed else key.principal
    principal = known.principals.get(name)
    if principal is None:
        names = sorted(known.principals)
        declared = f"declared are: {listed(names)}"
        return Unverified(
            "unknown_principal",
            f"there is no principal {name or 'named'}",
            f"declare it in principals.yaml: {did_you_mean(name, names, otherwise=declared)}",
        )
    if not principal.owns(envelope.source):
        return _foreign(envelope.source, principal.name)
    is_service = principal.kind == "service" and not is_relayed
    claims = _claims(principal, is_relayed=is_relayed, is_service=is_service)
    for name, own in claims.items():
        claim = envelope.extensions.get(name, own)
        if claim != own:
            return _false_claim(name, claim, own, signer=key.principal)
    return Caller(
        principal=principal.name,
        verified="relayed" if is_relayed else "signature",
        key=key.id,
        onbehalfof=envelope.extensions.get("onbehalfof") if is_service else None,
        position=known.changes,
    )


def _claims(principal: Principal, *, is_relayed: bool, is_service: bool) -> dict[str, str]:
    """Return what the event may say about its principal, where it says anything.

    The gateway says who asked; only a service may say that it asks for another principal.
    """
    own = {} if is_relayed else {"authid": principal.name, "authtype": AUTHTYPES[principal.kind]}
    return own if is_service else {**own, "onbehalfof": principal.name}


def _false_claim(name: str, claim: str, own: str, *, signer: str) -> Unverified:
    return Unverified(
        "foreign_principal",
        f"the attribute {name} says {truncate(claim)!r}, but {signer} has signed the event",
        f"leave {name} out, or write {own}",
    )


def _foreign(source: str, who: str) -> Unverified:
    return Unverified(
        "foreign_source",
        f"the source {source} is not one of {who}",
        "use a source of your own, or have it declared for you in principals.yaml",
    )


def refuse(record_operation: UUID, envelope: Envelope, why: Unverified) -> Fact:
    """Return the denial of a record whose sender is not verified.

    Its operation is that of the record, not of the source and id that it claims, and what it asks
    for is not repeated.
    """
    return IntentDenied(
        operation=record_operation,
        intent=IntentRef.of(envelope),
        resource=None,
        requested=None,
        reason=why.reason,
        violations=(Violation(rule=why.reason, message=why.problem, fix=why.fix),),
    )


def _knows(principal: Principal, other: Principal) -> bool:
    """Return whether ``principal`` may learn of ``other``: they share a team."""
    return EVERY in other.teams or any(map(other.is_member, principal.teams))


def _beyond(known: Authority, principal: Principal, message: Intent) -> Violation | None:
    """Return why ``principal`` may not change keys of a principal that may do more than it."""
    if isinstance(message, RegisterKey):
        name = message.principal
    elif isinstance(message, RevokeKey) and message.key in known.keys:
        name = known.keys[message.key].principal
    else:
        return None
    other = known.principals.get(name)
    if other is None or principal.covers(other):
        return None
    return Violation(
        rule="permission",
        message=f"{principal.name} lacks rights that {name} has, so it may not change its keys",
        fix="have a principal with these rights do it, or declare the key in principals.yaml",
    )


def forbidden(known: Authority, caller: Caller | None, message: Intent) -> Violation | None:
    """Return the permission that the caller lacks for ``message``; None if it lacks none."""
    if caller is None or caller.principal is None:
        return None
    principal = known.principals.get(caller.principal, Principal(caller.principal, "bot"))
    team = getattr(message, "team", None)
    if principal.may(message.PERMISSION, team):
        return _beyond(known, principal, message)
    for_team = f" for the team {team}" if team is not None else ""
    granting = sorted(
        one.name
        for one in known.principals.values()
        if one.kind != "service" and one.may(message.PERMISSION, team) and _knows(principal, one)
    )
    return Violation(
        rule="permission",
        message=f"{principal.name} lacks the permission {message.PERMISSION}{for_team}",
        fix=f"have it granted in principals.yaml; it is held by: {listed(granting)}",
    )
