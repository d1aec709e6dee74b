"""The decisions about keys that intents ask for."""

from collections.abc import Iterable
from functools import partial
from uuid import UUID

from busbar.kernel.suggest import did_you_mean, listed
from busbar.messages.authority import Authority
from busbar.messages.base import Fact, IntentRef
from busbar.messages.delivery import HeadKeyRevoked
from busbar.messages.identity import KeyRefused, KeyRegistered, KeyRevoked, RegisterKey, RevokeKey
from busbar.messages.signing import InvalidKey, PublicKey, published_in


def decide_register(
    known: Authority, asked: RegisterKey, *, operation: UUID, intent: IntentRef
) -> Fact:
    """Decide whether a principal signs with one more key."""
    refused = partial(KeyRefused, operation=operation, intent=intent)
    if asked.principal not in known.principals:
        names = sorted(known.principals)
        declared = f"declared are: {listed(names)}; declare it in principals.yaml first"
        return refused(
            reason="unknown_principal",
            detail=f"there is no principal called {asked.principal}",
            fix=did_you_mean(asked.principal, names, otherwise=declared),
        )
    try:
        public = PublicKey.parse(asked.public_key)
    except InvalidKey as error:
        return refused(
            reason="invalid_key",
            detail=str(error).rstrip("."),
            fix="make another one with `busbar keys create`",
        )
    if (where := published_in(public)) is not None:
        return refused(
            reason="published_key",
            detail=f"the private half of the key {public.id} is published ({where}): "
            "everybody can sign with it",
            fix="make another one with `busbar keys create`",
        )
    key = known.keys.get(public.id)
    if key is not None and (key.revoked is not None or key.principal != asked.principal):
        why = "is revoked" if key.revoked is not None else f"belongs to {key.principal}"
        return refused(
            reason="key_taken",
            detail=f"the key {key.id} {why}",
            fix="make another one with `busbar keys create`",
        )
    return KeyRegistered(
        key=public.id,
        principal=asked.principal,
        public_key=public.text,
        operation=operation,
        intent=intent,
    )


def decide_revoke(
    known: Authority, asked: RevokeKey, *, operation: UUID, intent: IntentRef
) -> Fact:
    """Decide whether a key is refused from now on; once revoked, a key stays so."""
    refused = partial(KeyRefused, operation=operation, intent=intent)
    key = known.keys.get(asked.key)
    if key is None:
        return refused(
            reason="unknown_key",
            detail=f"there is no key {asked.key}",
            fix="`busbar keys list` shows all keys",
        )
    return KeyRevoked(
        key=key.id,
        principal=key.principal,
        reason=key.revoked or asked.reason,
        operation=operation,
        intent=intent,
    )


def revoked_heads(known: Authority, facts: Iterable[Fact]) -> list[HeadKeyRevoked]:
    """Return what ``facts`` mean for heads: which keys of services sign none any more."""
    services = {one.name for one in known.principals.values() if one.kind == "service"}
    return [
        HeadKeyRevoked(relay=fact.principal, key=fact.key)
        for fact in facts
        if isinstance(fact, KeyRevoked) and fact.principal in services
    ]
